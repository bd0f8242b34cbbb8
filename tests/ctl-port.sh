#!/usr/bin/env bash
# ctl-port.sh - metrics-port: for reading only, for this machine only, and not for pages of others
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need curl jq

port=$(unused_port)

# status CURL-ARGUMENT...: of the answer, whose head and body go to the files head and body
status() {
    curl -sS -D head -o body -w '%{http_code}' "$@"
}

# answers STATUS CURL-ARGUMENT...
answers() {
    local wanted=$1 got
    shift
    got=$(status "$@")
    [ "$got" = "$wanted" ] || fail "curl $*: $got: $(cat body)"
}

# bad_ports_each_have_their_sentence
refused "64M metrics-port=" metrics-port= 'from 1 to 65535' 'write' metrics-port=9810
refused "64M metrics-port=0" metrics-port=0: 'from 1 to 65535'
refused "64M metrics-port=65536" metrics-port=65536: 'from 1 to 65535'
refused "64M metrics-port=-1" metrics-port=-1: 'from 1 to 65535'
refused "64M metrics-port=http" metrics-port=http: 'from 1 to 65535'
refused "64M metrics-port=127.0.0.1:80" 'from 1 to 65535'
refused "64M metrics-port=$port metrics-port=$port" before once

# without_a_socket_too
serve zslot 64M metrics-port="$port"
at=http://127.0.0.1:$port
answers 200 "$at/v1/stats"
[ "$(jq .disk_size body)" = 67108864 ] || fail "$(cat body)"
answers 200 "$at/v1/job"

# a_port_in_use_is_refused_and_leaves_no_socket
refused "64M metrics-port=$port control=$directory/other" metrics-port="$port" 'another program listens'
[ ! -e other ] || fail "a refusal leaves a socket behind"
stop

# at_once_again
serve zslot 64M metrics-port="$port" control=control

# on_this_machine_only
hex=$(printf '%04X' "$port")
[ "$(awk -v port=":$hex" '$4 == "0A" && $2 ~ port "$" { print $2 }' /proc/net/tcp)" = "0100007F:$hex" ] ||
    fail "it listens elsewhere than on 127.0.0.1"
! grep -q ":$hex 0*:0000 0A" /proc/net/tcp6 || fail "it listens on IPv6"

# what_can_be_read
for path in / /metrics /v1/stats /v1/job; do
    answers 200 "$at$path"
    grep -qi '^Cross-Origin-Resource-Policy: same-origin' head || fail "$path: others may show it: $(cat head)"
done
answers 404 "$at/favicon.ico"
# (cookies of other servers on this machine come with it)
answers 200 -H "Cookie: $(printf 'x%.0s' {1..6000})" "$at/"
answers 431 -H "Cookie: $(printf 'x%.0s' {1..9000})" "$at/"
answers 400 "$at/v1/stats?all=1"

# the_page_loads_nothing_from_elsewhere
answers 200 "$at/"
grep -qi '^Content-Type: text/html' head || fail "$(cat head)"
grep -qi "^Content-Security-Policy: default-src 'none';.*frame-ancestors 'none'" head || fail "$(cat head)"
curl -sS --unix-socket control http://localhost/ | cmp - body || fail "another page on the socket"
[ "$(wc -c <body)" -gt 10000 ] || fail "that is no page: $(cat body)"
! grep -qE '@include|(src|href)="?(https?:)?//|url\(|@import' body || fail "it names something outside"

# nothing_is_told_of_single_pages: how long an object is can tell what is in the page
answers 404 "$at/v1/slots?from=1&count=2"
answers 200 --unix-socket control 'http://localhost/v1/slots?from=1&count=2'

# nothing_can_be_changed
for method in POST PUT DELETE PATCH OPTIONS HEAD TRACE; do
    for path in / /v1/stats /v1/compact '/v1/set?compressor=lz4' '/v1/idle' /no/such; do
        # (curl would wait for a body that the answer to HEAD does not have)
        if [ $method = HEAD ]; then answers 405 -I "$at$path"; else answers 405 -X $method "$at$path"; fi
        grep -qi '^Allow: GET' head || fail "$method $path: $(cat head)"
    done
done
for path in /v1/compact /v1/set?compressor=lz4 /v1/idle /v1/writeback?type=all /v1/recompress; do
    answers 404 "$at$path"
    ! grep -q v1/set <<<"$(jq -r .error body | sed 's/.*those there are//')" || fail "it offers to change something"
done
answers 413 -X POST -d 'compressor=lz4' "$at/v1/set"
answers 200 "$at/v1/stats"
[ "$(jq -r .compressor body)" = zstd:1 ] || fail "the compressor is another one"
answers 200 "$at/v1/job"
[ "$(jq .job body)" = null ] || fail "work was begun"

# a_name_that_somebody_made_to_mean_us_is_refused
for host in evil.example "evil.example:$port" 127.0.0.1.evil.example localhost.evil.example 127.0.0.1:x \
    'localhost:80@evil' zslot 192.0.2.1 0 '[::1]'; do
    answers 403 -H "Host: $host" "$at/v1/stats"
    grep -q '127.0.0.1' body || fail "it does not say which there are"
done
answers 403 -H 'Host:' "$at/v1/stats"
answers 403 -H 'Host: evil.example' "$at/"
for host in localhost LocalHost "localhost:$port" 127.0.0.1 127.0.0.1:8080; do
    answers 200 -H "Host: $host" "$at/v1/stats"
done
for origin in null http://evil.example "http://127.0.0.1:$port"; do
    answers 403 -H "Origin: $origin" "$at/v1/stats"
    answers 405 -H "Origin: $origin" -X POST "$at/v1/compact"
done

# who_keeps_all_connections_of_the_port_does_not_close_the_socket
slow=()
for _ in {1..20}; do
    exec {fd}<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /v1/st' >&"$fd"
    slow+=("$fd")
done
answers 200 --unix-socket control http://localhost/v1/stats
for fd in "${slow[@]}"; do
    exec {fd}>&-
done
answers 200 --max-time 30 "$at/v1/stats"

stop
[ ! -e control ] || fail "the socket stays"
