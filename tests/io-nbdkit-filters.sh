#!/usr/bin/env bash
# io-nbdkit-filters.sh - nbdkit's filters and its TLS work around the plugin
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy nbdinfo
need_filter cow offset readahead stats

head -c 3000000 /dev/urandom >data
truncate --size=4M data

# both_ways URI: a copy there and back
both_ways() {
    nbdcopy --connections=2 data "$1"
    nbdcopy --connections=2 "$1" back
    cmp data back
}

# offset: a window of the disk
serve --filter=offset zslot 16M offset=1M range=4M
[ "$(nbdinfo --size "$uri")" = 4194304 ] || fail "offset: size"
both_ways "$uri" || fail "offset: differs"
stop

# cow: the plugin below is only read
serve --filter=cow zslot 4M
both_ways "$uri" || fail "cow: differs"
stop

# readahead: which calls .cache
serve --filter=readahead zslot 4M
both_ways "$uri" || fail "readahead: differs"
stop

# stats: what the filter saw
serve --filter=stats zslot 4M statsfile="$directory/stats"
both_ways "$uri" || fail "stats: differs"
stop
grep -q '^write: ' stats || fail "stats: no writes: $(cat stats)"
grep -q '^read: ' stats || fail "stats: no reads: $(cat stats)"

# all of them at once
serve --filter=stats --filter=readahead --filter=cow --filter=offset zslot 16M offset=4096 \
    range=4M statsfile="$directory/stats"
both_ways "$uri" || fail "filters together: differs"
stop

# tls: with a key shared beforehand
if [ "${ZSLOT_SANITIZER:-none}" != none ]; then
    # nbdkit then sometimes waits for ever at its exit, in a destructor of libp11-kit that wants
    # a lock of glibc (of locales); nothing of ours is on the stack there.
    echo "$name: without TLS, whose libraries do not end well under a sanitizer"
    exit 0
fi
if ! "$NBDKIT" --dump-config | grep -q '^tls=yes'; then
    echo "$name: without TLS, which this nbdkit was built without"
    exit 0
fi
(umask 077 && printf 'tester:%s\n' "$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')" >psk)
serve --tls=require --tls-psk="$directory/psk" zslot 4M
tls="nbds+unix://tester@/?socket=$socket&tls-psk-file=$directory/psk"
if ! nbdinfo --is tls "$tls" 2>tls.err; then
    grep -qi 'not compiled\|no support' tls.err || fail "tls: $(cat tls.err log)"
    echo "$name: without TLS, which this libnbd was built without"
    exit 0
fi
both_ways "$tls" || fail "tls: differs"
if nbdinfo --size "$uri" 2>/dev/null; then
    fail "tls: a client without it is served"
fi
stop
