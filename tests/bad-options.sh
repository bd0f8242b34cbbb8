#!/usr/bin/env bash
# bad-options.sh - each bad parameter gets a sentence that says which, why, and what to write instead
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"

served() {
    # shellcheck disable=SC2086
    [ "$(timeout 60 "$NBDKIT" -U - zslot $1 --run 'echo it is served' 2>err)" = "it is served" ] ||
        fail "zslot $1: refused: $(cat err)"
}

# size
refused "" "size=" "missing" "write" "size=8G"
refused "size=" "size=:" "not a size" "write" "size=8G"
refused "1G memory-lock" "memory-lock: there is no value" "write memory-lock=VALUE"
refused "size=0" "size=0:" "4096" "write" "size=8G"
refused "0" "size=0:" "4096" "write"
refused "size=-1" "size=-1:" "4096" "write"
refused "size=-4096" "size=-4096:" "4096" "write"
refused "size=1000" "size=1000:" "multiple" "4096" "write size=4096"
refused "4097" "size=4097:" "multiple" "4096" "write size=8192"
refused "size=9E" "size=9E:" "at most size=16T"
refused "size=99E" "size=99E:" "at most size=16T"
refused "size=16385G" "size=16385G:" "at most size=16T"
refused "size=99999999999999999999999" "at most size=16T"
refused "size=garbage" "size=garbage:" "not a size" "size=8G"
refused "garbage" "size=garbage:" "not a size" "size=8G"
refused "size=1GiB" "size=1GiB:" "not a size" "size=8G"
refused "size=1.5G" "size=1.5G:" "not a size"
refused "size=0x1000" "size=0x1000:" "not a size"
refused "size=1G size=1G" "size=1G:" "before" "once"
refused "1G size=2G" "size=2G:" "before" "once"
refused "1G 2G" "size=2G:" "before" "once"

# compressor
codecs="lz4, zstd, zstd:-7 to zstd:19, none"
refused "1G compressor=" "compressor=:" "$codecs"
refused "1G compressor=gzip" "compressor=gzip:" "$codecs"
refused "1G compressor=ZSTD" "compressor=ZSTD:" "$codecs"
refused "1G compressor=lz" "compressor=lz:" "$codecs"
refused "1G compressor=:1" "compressor=:1:" "$codecs"
refused "1G compressor=zstd:99" "compressor=zstd:99:" "from -7 to 19" "write" "compressor=zstd:1"
refused "1G compressor=zstd:+3" "compressor=zstd:+3:" "from -7 to 19" "write"
refused "1G compressor=zstd:20" "compressor=zstd:20:" "from -7 to 19" "write"
refused "1G compressor=zstd:-8" "compressor=zstd:-8:" "from -7 to 19" "write"
refused "1G compressor=zstd:" "compressor=zstd::" "from -7 to 19" "write"
refused "1G compressor=zstd:fast" "compressor=zstd:fast:" "from -7 to 19" "write"
refused "1G compressor=zstd:1x" "compressor=zstd:1x:" "from -7 to 19" "write"
refused "1G compressor=zstd:99999999999" "from -7 to 19" "write"
refused "1G compressor=lz4:5" "compressor=lz4:5:" "no levels" "write compressor=lz4"
refused "1G compressor=lz4:" "compressor=lz4::" "no levels" "write compressor=lz4"
refused "1G compressor=none:1" "compressor=none:1:" "no levels" "write compressor=none"
refused "1G compressor=lz4 compressor=lz4" "compressor=lz4:" "before" "once"

# state
refused "1G state=" "state=:" "write" "state=/dev/shm/zslot"
refused "1G state=/etc/passwd" "state=/etc/passwd:" "not a directory" "on a tmpfs"
refused "1G state=$directory/no/such" "state=$directory/no/such:" "cannot make this directory" "make that first"
refused "1G state=a state=b" "state=b:" "before" "once"

# memory-limit
refused "1G memory-limit=" "memory-limit=:" "not a size" "memory-limit=2G"
refused "1G memory-limit=much" "memory-limit=much:" "not a size" "memory-limit=2G"
refused "1G memory-limit=-1" "memory-limit=-1:" "memory-limit=2G"
refused "1G memory-limit=99E" "memory-limit=99E:" "memory-limit=2G"
refused "1G memory-limit=0" "memory-limit=0:" "bytes" "at least memory-limit="
refused "1G memory-limit=1M" "memory-limit=1" "bytes" "at least memory-limit="
refused "1G memory-limit=2G memory-limit=2G" "memory-limit=2G:" "before" "once"
# The bound that it names is one that it takes, and one KiB less is not.
refused "64G memory-limit=1" "at least memory-limit="
least=$(sed -n 's/.*at least memory-limit=\([0-9]*\)k$/\1/p' err)
[ -n "$least" ] || fail "no bound in: $(cat err)"
served "64G memory-limit=${least}k"
refused "64G memory-limit=$((least - 1))k" "at least memory-limit=${least}k"

refused "1G memory-limit=abc" "or memory-limit=none"
refused "1G memory-limit=none memory-limit=2G" "before" "once"
refused "1G idle-age=none writeback-limit=1G/day" "writeback-limit is about a backing store"

# backing-size
for size in "" x 1.5G; do
    refused "1G memory-limit=64M backing=$directory/new backing-size=$size" "backing-size=$size:" "not a size" "backing-size=16G"
done
for size in 0 -1 17T 100E; do
    refused "1G memory-limit=64M backing=$directory/new backing-size=$size" "backing-size=$size:" "from 4M to 16T" "backing-size=16G"
done
refused "1G memory-limit=64M backing=$directory/new backing-size=1024k" "backing-size=1024k:" "too small" "at least backing-size=4M"
: >"$directory/empty"
refused "1M memory-limit=64M backing=$directory/empty" "backing=$directory/empty:" "as large as the disk, 1M" "at least backing-size=4M"
# What takes the memory is named; what is advised fits, and twice as much does not.
refused "1G memory-limit=64M backing=$directory/new backing-size=7168G" "memory-limit=64M:" "account of backing-size=7168G"
size=$(sed -n 's/.*for example backing-size=\([0-9]*\)G, or at least memory-limit=[0-9]*k$/\1/p' err)
[ -n "$size" ] || fail "no advice in: $(cat err)"
served "1G memory-limit=64M backing=$directory/new backing-size=${size}G"
refused "1G memory-limit=64M backing=$directory/new backing-overwrite=true backing-size=$((2 * size))G" "backing-size=$((2 * size))G"
rm "$directory/new"
refused "64G memory-limit=16M backing=$directory/empty" "memory-limit=16M:" "account of 64G of backing=$directory/empty"
refused "1G memory-limit=4M backing=$directory/new backing-size=1G" "memory-limit=4M:" "tables, codecs and buffers"
[ ! -e "$directory/new" ] || fail "a file was made for nothing"

# memory-lock
refused "1G memory-lock=maybe" "memory-lock=maybe:" "memory-lock=true" "memory-lock=false"
refused "1G memory-lock=" "memory-lock=:" "memory-lock=true" "memory-lock=false"
refused "1G memory-lock=2" "memory-lock=2:" "memory-lock=true" "memory-lock=false"
refused "1G memory-lock=no memory-lock=no" "memory-lock=no:" "before" "once"

# unknown ones: each that there is is named
options=$(sed -n 's/^OPTION([a-z_]*, "\([^"]*\)".*/\1/p' "$srcdir/core/options.def")
[ -n "$options" ] || fail "options.def has changed its form"
# shellcheck disable=SC2086
{
    refused "1G colour=red" "colour=red:" "unknown parameter" $options
    refused "1G memory_limit=2G" "memory_limit=2G:" "unknown parameter" $options
    refused "1G Size=2G" "Size=2G:" "unknown parameter" $options
    refused "1G file=disk.img" "file=disk.img:" "unknown parameter" $options
}

echo "$(wc -l <sentences) rows; what they say:"
cat sentences

# what is right is taken
served 4096
served 8g
# (there are sanitizers that leave less address space)
[ "${ZSLOT_SANITIZER:-none}" != none ] || served 16T
served "1G compressor=zstd"
served "1G memory-limit=none idle-age=none writeback-limit=none"
served "1G compressor=zstd:-7"
served "1G compressor=zstd:19"
served "1G compressor=none memory-limit=1G memory-lock=off"

# help and dump-plugin name every parameter
"$NBDKIT" zslot --help >help
"$NBDKIT" zslot --dump-plugin >dump
parameters=$(sed -n 's/^zslot_parameters=//p' dump)
! grep -q 'default: required' help || fail "--help has it that to be required is a default"
for one in $options; do
    grep -q -- "^$one=" help || fail "--help does not name $one"
    [[ " $parameters " == *" $one "* ]] || fail "--dump-plugin does not name $one"
done
grep -q '^magic_config_key=size$' dump || fail "size is not the magic parameter"
grep -q '^max_thread_model=parallel$' dump || fail "not the parallel thread model"
for codec in lz4 zstd none; do
    grep -qw "^zslot_codecs=.*$codec" dump || fail "--dump-plugin does not name $codec"
done
