#!/usr/bin/env bash
# io-fio.sh - fio's own client writes, trims, reads back and finds what it wrote
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need fio
fio --enghelp 2>/dev/null | grep -q '^[[:space:]]*nbd' || skip "this fio was built without its nbd engine"

serve zslot 64M

# run NAME OPTION...: one job; any mismatch or error ends it
run() {
    local job=$1
    shift
    fio --name="$job" --ioengine=nbd --uri="$uri" --size=64M --randrepeat=0 --output="$job.out" \
        --time_based=0 --allow_file_create=0 "$@" >/dev/null 2>"$job.err" ||
        fail "$job: $(cat "$job.out" "$job.err")"
    ! grep -Eq 'verify:|err=[^ ]*[1-9]|bad magic' "$job.out" "$job.err" ||
        fail "$job: $(cat "$job.out" "$job.err")"
    grep -E '^ *(read|write|trim) *:|IOPS=' "$job.out" | sed "s/^ */$job: /"
}

# random sizes, random places, each block checked by its own header
run sizes --rw=randwrite --bsrange=512-64k --blockalign=512 --iodepth=16 --verify=crc32c \
    --buffer_compress_percentage=60
# pages, from several jobs at the same time, each in a part of the disk
run jobs --rw=randwrite --bs=4k --iodepth=16 --verify=crc32c --numjobs=3 --size=16M \
    --offset_increment=16M --group_reporting
# reads and writes mixed, and what was written is read back while that goes on
run mixed --rw=randrw --bsrange=512-32k --blockalign=512 --iodepth=8 --verify=crc32c \
    --verify_backlog=64 --io_size=32M
# trims, each followed by a write of the same block
run trimwrite --rw=trimwrite --bs=16k --iodepth=1 --io_size=32M
# the whole disk, trimmed block by block, in no order
run randtrim --rw=randtrim --bs=12k --iodepth=8
if command -v nbdcopy >/dev/null; then
    nbdcopy --allocated "$uri" left
    cmp -n 67104768 left /dev/zero || fail "what fio trimmed does not read as zeroes"
fi

stop
