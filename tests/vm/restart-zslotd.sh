#!/usr/bin/env bash
# restart-zslotd.sh - restart.sh with zslotd
#
# SPDX-License-Identifier: BSD-3-Clause

ZSLOT_VM_FACE=zslotd exec bash "$(dirname "$0")/restart.sh"
