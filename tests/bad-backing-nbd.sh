#!/usr/bin/env bash
# bad-backing-nbd.sh - servers that cannot be the backing store are refused, with a sentence
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need_filter blocksize-policy delay
rows=0

# refused 'ARGUMENTS' WORD...: ends before it serves, with one sentence that has these words
refused() {
    local arguments=$1 status=0 said word
    shift
    # shellcheck disable=SC2086
    timeout 60 "$NBDKIT" -U "$PWD/refused.sock" zslot 1G memory-limit=64M $arguments --run 'echo it is served' \
        >out 2>err || status=$?
    [ ! -s out ] || fail "zslot $arguments: $(cat out)"
    [ "$status" = 1 ] || fail "zslot $arguments: status $status: $(cat err)"
    [ "$(wc -l <err)" = 1 ] || fail "zslot $arguments: not one line: $(cat err)"
    said=$(sed 's/^nbdkit: error: //' err)
    for word; do
        [[ $said == *"$word"* ]] || fail "zslot $arguments: \"$word\" is not in: $said"
    done
    echo "$said" >>sentences
    rows=$((rows + 1))
}

served() {
    # shellcheck disable=SC2086
    [ "$(timeout 60 "$NBDKIT" -U - zslot 1G memory-limit=64M $1 --run 'echo it is served' 2>err)" = \
        "it is served" ] || fail "zslot $1: refused: $(cat err)"
}

# serve_other ARGUMENT...: a server that is not ours, and whose leaks are not
serve_other() {
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 serve "$@"
}

# URIs
schemes="nbd:// nbds:// nbd+unix:// nbds+unix:// nbd+vsock:// nbds+vsock://"
# shellcheck disable=SC2086
{
    refused "backing=http://localhost/disk" "http://localhost/disk" "not a URI" $schemes "path"
    refused "backing=nbdx://localhost" "nbdx://localhost" "not a URI" $schemes
    refused "backing=://" "not a URI" $schemes
}
refused "backing=nbd+unix:///" "nbd+unix:///:" "cannot connect" "socket"
refused "backing=nbd+unix:///?socket=$PWD/none" "none" "cannot connect" "No such file"
# A port that nothing listens on: root's, and reserved.
refused "backing=nbd://127.0.0.1:1/" "127.0.0.1:1" "cannot connect" "refused" "runs"
echo nothing >file
refused "backing=nbd+unix:///?socket=$PWD/file" "file" "cannot connect" "refused"

# Timeouts
for timeout in 0 -1 abc "" 3601 1.5 99999999999; do
    refused "backing=$PWD/disk backing-size=1G backing-timeout=$timeout" \
        "backing-timeout=$timeout:" "1 to 3600" "backing-timeout=30"
done
refused "backing-timeout=5" "backing-timeout" "backing=PATH"

# Exports
serve_other -r memory 64M
refused "backing=$uri" "$socket" "read-only" "name another"
stop
serve_other memory 64M
refused "backing=$uri backing-size=65M" "backing-size=65M:" "has only 64M" "write less"
refused "backing=$uri backing-size=1024k" "backing-size=1024k:" "too small" "write at least backing-size=4M"
served "backing=$uri"
served "backing=$uri backing-size=8M backing-timeout=60"
# It is ours from then on.
served "backing=$uri"
stop
serve_other memory 1M
refused "backing=$uri" "backing=$uri:" "too small with 1M" "at least 4M"
! grep -q backing-size err || fail "it names what was not given: $(cat err)"
stop
serve_other --filter=blocksize-policy memory 64M blocksize-minimum=8192 blocksize-preferred=8192 \
    blocksize-error-policy=error
refused "backing=$uri" "$socket" "8192" "4096" "blocksize"
stop
# nbdkit knows what data is from what has none.
serve_other data '"thesis" * 1000' size=64M
refused "backing=$uri" "$socket" "not empty" "backing-overwrite=true"
served "backing=$uri backing-overwrite=true"
stop
serve_other data '"zslotbs" 0 9 9 9 9' size=64M
refused "backing=$uri" "$socket" "of format 151587081" "start it with the zslot that made it" "backing-overwrite=true"
stop
serve_other data '@1048576 "thesis"' size=64M
refused "backing=$uri" "$socket" "not empty" "backing-overwrite=true"
stop
# One whose socket is found from here only.
serve_other memory 64M
refused "backing=nbd+unix:///?socket=${socket##*/}" "whole path" "socket="
refused "backing=nbds+unix:///?socket=$socket&tls-psk-file=keys" "whole path" "tls-psk-file="
stop
# One that wants TLS.
serve_other --tls=require --tls-psk=/dev/null memory 64M
refused "backing=$uri" "$socket" "cannot connect" "TLS"
stop
# One that does not answer.
serve_other --filter=delay memory 64M rdelay=30
refused "backing=$uri backing-timeout=1" "$socket" "no answer for 1 seconds" "backing-timeout="
kill -9 "$pid"
wait "$pid" 2>/dev/null || true

echo "$rows rows; what they say:"
cat sentences

# --dump-plugin lists what there is
"$NBDKIT" zslot --dump-plugin | grep -qx 'zslot_backing_stores=file nbd' ||
    fail "--dump-plugin does not list file and nbd"
