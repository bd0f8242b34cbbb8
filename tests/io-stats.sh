#!/usr/bin/env bash
# io-stats.sh - -D zslot.stats=1 prints at the end what was done
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy qemu-io

# expect NAME LEAST [MOST]
expect() {
    local value
    value=$(stat_at_end "$1")
    [ -n "$value" ] || fail "no $1 among the statistics: $(cat log)"
    { [ "$value" -ge "$2" ] && [ "$value" -le "${3:-$2}" ]; } ||
        fail "$1 is $value, not ${3:+from }$2${3:+ to $3}"
}

serve -D zslot.stats=1 zslot 16M memory-limit=8M compressor=lz4
# 100 pages of noise, 50 of one word, 20 that shrink, 30 written as zeroes; then 10 of noise trimmed,
# 5 zeroed, one changed by one byte.
head -c 409600 /dev/urandom >noise
nbdcopy noise "$uri"
{
    for ((i = 0; i < 20; i++)); do
        head -c 1000 /dev/urandom
        head -c 3096 /dev/zero
    done
} >shrinks
qemu-io -f raw "$uri" -c 'write -P 7 1M 200k' -c 'write -s shrinks 2M 80k' -c 'write -P 0 3M 120k' \
    -c 'discard 0 40k' -c 'write -z 40k 20k' -c 'read 1M 4k' -c 'flush' >io.out
# past the limit, which is 8 MiB in all
head -c 12M /dev/urandom >large
# One request at a time: nbdkit 1.32 may abort when a client goes away that has others in flight.
if nbdcopy --synchronous large "$uri" 2>full.err; then
    fail "12 MiB of noise fit into 8 MiB"
fi
grep -qi 'no space left' full.err || fail "not ENOSPC: $(cat full.err)"
qemu-io -f raw "$uri" -c 'write -z 0 16M' >>io.out
nbdcopy noise "$uri"
qemu-io -f raw "$uri" -c 'write -P 7 1M 200k' -c 'write -s shrinks 2M 80k' -c 'discard 0 40k' >>io.out
stop

expect disk_size 16777216
expect orig_data_size $(((90 + 50 + 20) * 4096))
expect compr_data_size $((90 * 4096 + 20 * 1000)) $((90 * 4096 + 20 * 1100))
expect huge_pages 90
expect same_pages 50
expect mem_limit 8388608
expect mem_used_total $((90 * 4096)) 4000000
expect mem_used_max 7900000 8388608
expect huge_pages_since $((200 + 1)) 10000
expect pages_written $((2 * 170)) 10000
expect pages_trimmed 200 100000
expect pages_read 1 1000
expect failed_reads 0
expect failed_writes 1 100000

# every_statistic_has_a_line
names=$(sed -n 's/^STAT(\([a-z_]*\),.*/\1/p' "$srcdir/core/stats.def")
[ -n "$names" ] || fail "stats.def has changed its form"
for one in $names; do
    expect "$one" 0 9223372036854775807
done

# without_it_nothing_is_said
serve zslot 16M
nbdcopy noise "$uri"
stop
[ ! -s log ] || fail "it talks: $(cat log)"

# a_disk_that_nobody_used
serve -D zslot.stats=1 zslot 16M
stop
expect orig_data_size 0
expect pages_written 0
