#!/usr/bin/env bash
# io-zslotd.sh - what clients of the plugin get, clients of zslotd get too: the same tests
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

builddir=$(cd "${builddir:-.}" && pwd)
export NBDKIT=$builddir/tests/run-zslotd ZSLOT_FACE=zslotd
# Their sizes are those of a run beside the others.
export ZSLOT_TEST_OPS=${ZSLOT_TEST_OPS:-20}
[ -z "${ZSLOT_TEST_SLOW:-}" ] || ZSLOT_TEST_OPS=3

for test in io-requests io-random io-memory-limit io-compact; do
    "$builddir/tests/$test"
done
