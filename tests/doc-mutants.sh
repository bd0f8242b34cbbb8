#!/usr/bin/env bash
# doc-mutants.sh - each mutant still changes the file that it is for
#
# Whether a test notices is "make check-mutants", which takes minutes.
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
exec bash "$srcdir/tests/mutants.sh" --apply
