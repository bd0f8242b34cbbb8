#!/usr/bin/env bash
# io-qemu.sh - qemu's client: images in and out, patterns, discards and zeroes
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need qemu-img qemu-io zstd

serve zslot 64M
real=$directory/real
# Real pages, a hole, and an odd end.
zstd -qdc "$sample" >"$real"
truncate --size=40M "$real"
printf 'end' | dd of="$real" bs=1 seek=$((39 * 1024 * 1024 + 17)) conv=notrunc status=none

# an_image_converted_in_compares_equal
truncate --size=64M "$real"
qemu-img convert -n -f raw -O raw "$real" "$uri"
qemu-img compare -f raw -F raw "$real" "$uri" >/dev/null || fail "the image differs"
# out_of_order, with many requests in flight
qemu-img convert -n -W -m 16 -f raw -O raw "$real" "$uri"
qemu-img compare -f raw -F raw "$real" "$uri" >/dev/null || fail "the image differs after -W"
# and_out_again
qemu-img convert -f raw -O qcow2 "$uri" out.qcow2
qemu-img compare -f raw -F qcow2 "$real" out.qcow2 >/dev/null || fail "the copy out differs"
# holes_are_known: what was skipped is not data
qemu-img map --output=json -f raw "$uri" >map.json
grep -q '"zero": true, "data": false' map.json || fail "no hole is known: $(cat map.json)"

# io COMMAND...: any complaint is a failure; qemu-io's status is not always one
io() {
    local arguments=()
    for one; do
        arguments+=(-c "$one")
    done
    qemu-io -f raw -t none -d unmap "$uri" "${arguments[@]}" >io.out 2>&1 || fail "$*: $(cat io.out)"
    ! grep -Eiq 'verification failed|error|failed' io.out || fail "$*: $(cat io.out)"
}

# patterns_written_are_read
io 'write -P 0x5a 0 1M' 'read -P 0x5a 0 1M' \
    'write -P 0xa5 4095 2' 'read -P 0xa5 4095 2' 'read -P 0x5a 0 4095' 'read -P 0x5a 4097 4095' \
    'write -f -P 1 123 45678' 'read -P 1 123 45678' \
    'aio_write -P 7 2M 1M' 'aio_write -P 8 3M 1M' aio_flush 'read -P 7 2M 1M' 'read -P 8 3M 1M'
# zeroes_with_and_without_unmap
io 'write -P 3 4M 1M' 'write -z 4M 100' 'read -P 0 4M 100' "read -P 3 $((4194304 + 100)) 1000" \
    'write -z -u 4M 1M' 'read -P 0 4M 1M' 'write -z -n 0 1M' 'read -P 0 0 1M'
# discards_keep_what_is_not_a_whole_page
io 'write -P 9 8M 1M' 'discard 8M 512k' 'read -P 0 8M 512k' 'read -P 9 8704k 512k' \
    'discard 8704k 512' 'read -P 9 8704k 512k'
# the_end
io 'write -P 6 67108863 1' 'read -P 6 67108863 1'
if qemu-io -f raw "$uri" -c 'write 64M 1' >end.out 2>&1 && ! grep -qi 'error\|failed\|beyond' end.out; then
    fail "a write past the end: $(cat end.out)"
fi
io 'read -P 6 67108863 1'

stop
