#!/usr/bin/env bash
# ctl-endpoint.sh - the control socket: where it is, who may use it, and what it says in which form
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need curl jq nbdcopy

ask() {
    curl -sS --fail-with-body --unix-socket control "http://localhost$1" "${@:2}"
}

# bad_sockets_each_have_their_sentence
touch file
mkdir sub
long=$(printf 'x%.0s' {1..200})
refused "64M control=$directory/file" control= file 'not a socket'
refused "64M control=$directory/sub" control= 'not a socket'
refused "64M control=$directory/nowhere/c" control= 'directory does not exist'
refused "64M control=$directory/$long" control= '107 characters'
refused "64M control=" control= 'control=/run/zslot.sock'
refused "64M control=c control-mode=rw" control-mode=rw octal control-mode=0660
refused "64M control=c control-mode=1777" control-mode=1777 0777
refused "64M control=c control-group=no-such-group" control-group=no-such-group
refused "64M control-mode=0600" control-mode 'write control=SOCKET'
{ [ -f file ] && [ -d sub ]; } || fail "it took something away"
[ ! -S c ] || fail "a refusal leaves a socket behind"

# mode_and_group
serve zslot 64M control=control control-mode=0660 control-group=0
[ "$(stat -c '%a %g %F' control)" = '660 0 socket' ] || fail "$(stat -c '%a %g %F' control)"

# a_socket_in_use_is_refused, a_relative_path_is_found_again_at_the_end
refused "64M control=$directory/control" 'another server listens'
ask /v1/stats >stats.json
stop
[ ! -e control ] || fail "the socket stays"

# a_stale_socket_is_replaced
serve zslot 64M control=control
kill -KILL "$pid"
wait "$pid" || true
[ -S control ] || fail "no stale socket to test with"
serve -D zslot.stats=1 zslot 64M memory-limit=32M backing=backing backing-size=64M control=control
[ "$(stat -c '%a' control)" = 600 ] || fail "mode $(stat -c '%a' control)"

# every_statistic_is_there_in_both_forms_with_the_same_number
zstd -dc "$sample" >pages
nbdcopy pages "$uri"
nbdcopy "$uri" back
ask /v1/stats >stats.json
ask /metrics >metrics
names=$(sed -n 's/^STAT(\([a-z_]*\),.*/\1/p' "$srcdir/core/stats.def")
for one in $names; do
    value=$(jq ".$one" stats.json)
    [[ $value =~ ^[0-9]+$ ]] || fail "$one is $value"
done
number_of() { awk -v name="$1" '$1 == name { print $2 }' metrics; }
[ "$(number_of zslot_orig_data_bytes)" = "$(jq .orig_data_size stats.json)" ] || fail "orig_data_size differs"
[ "$(number_of zslot_mem_used_bytes)" = "$(jq .mem_used_total stats.json)" ] || fail "mem_used_total differs"
[ "$(number_of zslot_pages_written_total)" = "$(jq .pages_written stats.json)" ] || fail "pages_written differs"
[ "$(grep -c '^# HELP zslot_' metrics)" -ge "$(wc -w <<<"$names")" ] || fail "metrics are missing"
[ "$(jq '[.slots[]] | add' stats.json)" = $((64 * 256)) ] || fail "slots do not add up"
[ "$(jq -r .backing.state stats.json)" = ok ] || fail "the backing store is $(jq -c .backing stats.json)"
[ "$(jq '.read_latency.ram.timed' stats.json)" -gt 0 ] || fail "no read was timed"

[ "$(jq -r '[.memory_lock, .process_locked, .io_flusher] | map(type) | unique[]' stats.json)" = boolean ] ||
    fail "what is in force: $(jq -c . stats.json)"
[ "$(jq .memory_lock stats.json)" = false ] || fail "memory-lock is on"

# an_answer_ends_with_a_newline
[ "$(tail -c 1 stats.json | od -An -tx1)" = ' 0a' ] || fail "no newline: $(tail -c 20 stats.json | od -c)"

# a_refusal_says_what_to_write
refuses() { # SENTENCE PATH ARGUMENT...
    local said
    said=$(ask "${@:2}" 2>/dev/null | jq -r .error) || true
    [[ $said == *"$1"* ]] || fail "$2: $said"
}
refuses 'type is missing; write one of type=all' /v1/writeback -X POST
refuses 'type=x; write one of type=all' '/v1/writeback?type=x' -X POST
refuses 'x: unknown key; nothing stands behind a ?' '/v1/stats?x=1'
refuses 'x: unknown key; those there are: age' '/v1/idle?x=1' -X POST

# allow_has_all_methods
for one in 'GET, HEAD=PUT /v1/stats' 'POST=FOO /v1/compact'; do
    request=${one#*=}
    curl -sS -o /dev/null -D head -X "${request% *}" --unix-socket control "http://localhost${request#* }"
    grep -q '^HTTP/1.1 405' head || fail "$request: $(cat head)"
    [ "$(sed -n 's/^Allow: \(.*\)\r$/\1/p' head)" = "${one%%=*}" ] || fail "$request: $(cat head)"
done

# prometheus_finds_nothing_wrong
if command -v promtool >/dev/null; then
    promtool check metrics >said 2>&1 <"$directory/metrics" || fail "promtool: $(cat said)"
    [ ! -s said ] || fail "promtool: $(cat said)"
fi

# at_the_end_the_numbers_are_those
stop
for one in orig_data_size compr_data_size pages_written pages_read same_pages huge_pages; do
    [ "$(stat_at_end $one)" = "$(jq ".$one" stats.json)" ] || fail "$one at the end: $(stat_at_end $one)"
done

# one_work_at_a_time, and the other one is told which
serve zslot 64M control=control
nbdcopy pages "$uri"
ask '/v1/recompress?codec=zstd:19&type=all' -X POST >/dev/null
refuses 'recompress is under way' /v1/compact -X POST
stop

# in_the_background_too
"$NBDKIT" -U "$directory/socket" -P "$directory/pid" zslot 64M control=control
until_true 20 test -s pid || fail "no process id"
pid=$(cat pid)
servers=("$pid")
ask /v1/stats >stats.json
kill "$pid"
until_true 60 is_over "$pid" || fail "SIGTERM does not end it"
[ ! -e control ] || fail "the socket stays"
