#!/usr/bin/env bash
# example-with-disk.sh - the example for users of nbdkit and its filters
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

export NBDKIT=${NBDKIT:-nbdkit}
srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
for tool in nbdcopy zstd; do
    command -v $tool >/dev/null || { echo "no $tool" && exit 77; }
done

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"

fail() {
    cat out >&2
    echo "example-with-disk: $*" >&2
    exit 1
}

# the_command_finds_the_disk_and_the_statistics_are_of_what_it_wrote
zstd -q -d "$srcdir/tests/data/sample.pages.zst" -o disk.img
# shellcheck disable=SC2016 # $uri is for the shell that nbdkit runs
"$srcdir/examples/with-disk.sh" 64M 'nbdcopy disk.img "$uri"' compressor=zstd:-1 2>out ||
    fail "the command failed"
grep -q '^write: ' out || fail "the stats filter says nothing"
written=$(sed -n 's/^zslot: orig_data_size=//p' out)
kept=$(sed -n 's/^zslot: compr_data_size=//p' out)
[ "$written" -gt 0 ] || fail "orig_data_size is $written"
[ "$written" -le "$(stat --format=%s disk.img)" ] || fail "orig_data_size is more than there is"
[ "$((kept * 2))" -lt "$written" ] || fail "memory pages do not become half as large"

# the_exit_status_is_the_command_s
if "$srcdir/examples/with-disk.sh" 64M 'exit 3' 2>out; then
    fail "a failing command is not seen"
fi
