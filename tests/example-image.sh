#!/usr/bin/env bash
# example-image.sh - the example of disk images: a file system goes in, is compared and comes out
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

export NBDKIT=${NBDKIT:-nbdkit}
srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
PATH=$PATH:/sbin:/usr/sbin
for tool in nbdcopy nbdinfo qemu-img mke2fs; do
    command -v $tool >/dev/null || { echo "no $tool" && exit 77; }
done

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"

fail() {
    echo "example-image: $*" >&2
    exit 1
}

# A file system with the documents of this tree in it.
mkdir files
cp "$srcdir"/*.md files/
mke2fs -q -t ext4 -d files image.raw 32M
qemu-img convert -f raw -O qcow2 image.raw image.qcow2

export srcdir
# shellcheck disable=SC2016 # $uri is for the shell that nbdkit runs
"$NBDKIT" -f -U - zslot 32M --run \
    '"$srcdir/examples/image.sh" image.qcow2 qcow2 "$uri" copy.raw' >out || fail "$(cat out)"
cmp image.raw copy.raw || fail "what came out is not what went in"
grep -q 'Images are identical' out || fail "qemu-img did not compare"
grep -q 'hole,zero' out || fail "the free space of the file system is not a hole"
e2fsck -fn copy.raw >/dev/null 2>&1 || fail "the file system is damaged"
