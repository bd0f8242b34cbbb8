#!/usr/bin/env bash
# io-ext4.sh - a file system made elsewhere, stored here, is in order when it comes back
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy mke2fs e2fsck debugfs zstd

mkdir -p files/deep/er/and/deeper out
zstd -qdc "$sample" >files/pages
cp -r "$srcdir/core" "$srcdir/tests" files/deep/er/
chmod -R u+w files # what distcheck unpacks is read-only
for i in $(seq 200); do
    echo "file $i" >"files/deep/er/and/deeper/$i"
done
ln -s pages files/link
truncate --size=5M files/sparse
printf x | dd of=files/sparse bs=1 seek=3000000 conv=notrunc status=none

truncate --size=128M image
mke2fs -q -F -t ext4 -d files image || skip "this mke2fs cannot fill an image (-d)"

serve zslot 128M
nbdcopy --connections=4 image "$uri"
nbdcopy --connections=4 "$uri" back
cmp image back || fail "the image differs"

e2fsck -fn back >fsck.out 2>&1 || fail "e2fsck: $(cat fsck.out)"
debugfs -R "rdump / out" back >/dev/null 2>debugfs.err
rmdir out/lost+found
diff -r --no-dereference files out || fail "the files differ"

# changed_in_place: written to, brought here again over the old one, and still in order
debugfs -w -R "rm /pages" back 2>/dev/null
debugfs -w -R "write $srcdir/LICENSE license" back >/dev/null 2>&1
nbdcopy --connections=4 back "$uri"
nbdcopy --connections=4 "$uri" again
cmp back again || fail "the changed image differs"
e2fsck -fn again >fsck.out 2>&1 || fail "e2fsck: $(cat fsck.out)"
debugfs -R "cat /license" again 2>/dev/null | cmp - "$srcdir/LICENSE" || fail "the new file differs"

stop
