#!/usr/bin/env bash
# bad-zslotd.sh - zslotd refuses what it cannot do with one sentence; it comes, goes, and comes again
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/zslotd.sh"

there=(--listen="unix:$directory/there")
says size=SIZE missing -- "${there[@]}"
says listen=ADDRESS unix: LISTEN_FDS -- --size=1M
says nonsense memory-limit max-connections -- --nonsense=1
says size=1x -- --size=1x "${there[@]}"
says size=2M before -- --size=1M "${there[@]}" --size=2M
says given threads -- --threads=1 --threads=1
for bad in 0 -1 257 x ''; do
    says "threads=$bad" 256 -- --threads="$bad"
done
for bad in -1 10001 x; do
    says "poll=$bad" 10000 -- --poll="$bad"
done
for bad in -1 10001 x ''; do
    says "cpu-latency=$bad" 10000 cpu-latency=0 -- --cpu-latency="$bad"
done
for bad in 0 4097 many; do
    says "max-connections=$bad" 4096 -- --max-connections="$bad"
done
says foreground=maybe -- --foreground=maybe
says pid-file= -- --pid-file=
says 255 export= -- --export="$(printf '%0256d' 0)"
for bad in 0 99999 65536 -1 +1 4294978105 abc 1x; do
    says "listen=tcp:127.0.0.1:$bad" 65535 -- --size=1M --listen="tcp:127.0.0.1:$bad"
done
# what_is_no_socket_is_not_taken_away
echo precious >file
mkdir -p sub
for one in file sub; do
    says "listen=unix:$directory/$one" 'no socket' 'choose another path' -- --size=1M --listen="unix:$directory/$one"
done
[ "$(cat file)" = precious ] || fail "a file was taken for a stale socket"
[ -d sub ] || fail "a directory was taken for a stale socket"
says "--config: write --config=FILE" -- --config file
# what_is_written_in_another_form_is_told_the_right_one
says "size=8G: write --size=8G" -- size=8G "${there[@]}"
says "-size=8G: write --size=8G" -- -size=8G "${there[@]}"
says "--size: write --size=SIZE" -- --size 1G "${there[@]}"
says "--threads: write --threads=N" -- --threads 4 "${there[@]}"
says "--nonsense: not --KEY=VALUE" -- --nonsense "${there[@]}"
says "-f: not --KEY=VALUE" -- -f "${there[@]}"
# (the key of a BOOL alone is true)
says "backing-overwrite is about a backing store" -- --size=1M --backing-overwrite "${there[@]}"
# sentences_about_arguments_have_dashes
says "--size=SIZE is missing" "write for example --size=8G" -- "${there[@]}"
says "--size=1x: not a size" "as in --size=8G" -- --size=1x "${there[@]}"
says "--backing=/no/such" "--memory-limit=1G or --idle-age=600" -- --size=1M "${there[@]}" --backing=/no/such
says "--memory-limit=1M: tables" "at least --memory-limit=" -- --size=1T --memory-limit=1M "${there[@]}"
says "--listen=ADDRESS" "--listen=unix:/run/zslot-nbd.sock" -- --size=1M
says "write --tls=require too" -- --size=1M "${there[@]}" --tls-psk=/no/such
# two_that_would_have_the_same_are_told_so
says "--listen=unix:$directory/there: it was given before" -- --size=1M "${there[@]}" "${there[@]}"
says "--listen=unix:there: it was given before" -- --size=1M "${there[@]}" --listen=unix:there
says "--listen=unix:$directory/there: --control=$directory/there has the same" -- --size=1M "${there[@]}" \
    --control="$directory/there"
says "--control=$directory/./there has the same" -- --size=1M --listen=unix:there --control="$directory/./there"
for bad in '' unix unix: tcp: tcp:1 tcp:: tcp:host: vsock: vsock:x vsock:1:x http://x; do
    says "listen=$bad" -- --size=1M --listen="$bad"
done
says listen=unix: "write for example" -- --size=1M --listen="unix:/$(printf '%0200d' 0)"
says listen=unix:/no/such/directory/x 'directory does not exist' 'make it first' -- --size=1M --listen=unix:/no/such/directory/x
says listen=unix:/dev/null/x 'cannot make a socket there' 'write a path' -- --size=1M --listen=unix:/dev/null/x
says 'tcp:[::1:10809' '] behind' 'write --listen=tcp:[::1]:10809' -- --size=1M --listen='tcp:[::1:10809'
says 'tcp:::1:10809' brackets 'write --listen=tcp:[::1]:10809' -- --size=1M --listen=tcp:::1:10809
for bad in '[::1]' '[::1]10809' '[]:10809' '[::1]:' '[::1]:abc'; do
    says "listen=tcp:$bad" 65535 -- --size=1M --listen="tcp:$bad"
done
says listen=tcp:no-such-host.invalid:1 'no address' 'listen=tcp:127.0.0.1:10809' -- --size=1M --listen=tcp:no-such-host.invalid:1
says listen=tcp:192.0.2.1:1 'does not have' 'write one' -- --size=1M --listen=tcp:192.0.2.1:1
port=$(unused_port)
# By another name, or it would be told that it was given before.
says "listen=tcp:0.0.0.0:$port" 'another program' 'write another port' -- --size=1M --listen="tcp:127.0.0.1:$port" \
    --listen="tcp:0.0.0.0:$port"

# nothing_is_left_of_a_refused_one
says backing=/no/such -- --size=1M "${there[@]}" --memory-limit=4M --backing=/no/such/file
[ ! -e "$directory/there" ] || fail "a refused server leaves its socket"

# a_pid_file_that_cannot_be_is_found_out_before_anything_is_lost
head -c 5000000 /dev/urandom >mine.img
cp mine.img kept.img
mine=(--size=1G --memory-limit=16M --backing=mine.img --backing-overwrite=true "${there[@]}")
says --pid-file="$directory/no/such/pid" 'does not exist' 'make it first' -- "${mine[@]}" --pid-file=no/such/pid
says pid-file="$directory/sub" directory 'write a path' -- "${mine[@]}" --pid-file=sub
says pid-file="$directory/file" 'not a process' 'write a path' -- "${mine[@]}" --pid-file=file
mkfifo fifo
says pid-file="$directory/fifo" 'not a process' 'write a path' -- "${mine[@]}" --pid-file=fifo
[ "$(cat file)" = precious ] || fail "a file was taken for a pid file"
ln -s no-such-target dangling
says --pid-file="$directory/dangling" -- "${mine[@]}" --pid-file=dangling
[ ! -e no-such-target ] || fail "a pid file was made behind a link"
cmp mine.img kept.img || fail "a refused server has written to its backing store"

# whatever_it_is_that_is_refused: nothing is changed or left
echo 1 >pid
listen=("${there[@]}" --pid-file="$directory/pid")
for how in --control=no/such/socket --control-group=no-such-group --backing=no/such/image --tls-psk=no-such-file; do
    for where in mine.img new.img; do
        all=(--size=1G --memory-limit=16M --control=steer --backing="$where" --state=new "${listen[@]}")
        [ "$where" = new.img ] || all+=(--backing-overwrite=true)
        # The later of two of a kind would be refused for being there twice.
        all=("${all[@]/#${how%%=*}=*/$how}")
        [[ " ${all[*]} " = *" $how "* ]] || all+=("$how")
        [[ $how != --tls* ]] || all+=(--tls=require)
        says -- "${all[@]}"
        for one in new new.img steer there; do
            [ ! -e $one ] || fail "zslotd ${all[*]}: leaves $one"
        done
        cmp mine.img kept.img || fail "zslotd ${all[*]}: has changed its backing store"
        [ "$(cat pid)" = 1 ] || fail "zslotd ${all[*]}: has changed a pid file"
    done
done
mkdir new
touch new/mine
port=$(unused_port)
says "metrics-port=$port" another -- --size=1G --memory-limit=16M --state=new --listen="tcp:127.0.0.1:$port" \
    --metrics-port="$port" --pid-file=new/pid
[ "$(ls new)" = mine ] || fail "it leaves $(ls new)"
rm pid

# help_lists_every_parameter
"$zslotd" --help >help
"$zslotd" -h | cmp help || fail "-h is another help"
while read -r key; do
    grep -q "^--$key=" help || fail "--help does not have $key"
done < <(sed -nE 's/^(OPTION|SETTING)\([a-z_]+, "([^"]*)".*/\2/p' "$srcdir/core/options.def" \
    "$srcdir/server/settings.def")
"$zslotd" --version | grep -q '^zslotd [0-9]' || fail "--version"
"$zslotd" -V | grep -q '^zslotd [0-9]' || fail "-V"

# it_goes_into_the_background when it is ready, and its parent is told
start=("$zslotd" --size=1M "${there[@]}" --pid-file="$directory/pid" --threads=2 --max-connections=2)
"${start[@]}" || fail "it does not start"
[ -S there ] || fail "it has said that it is ready and does not listen"
pid=$(cat pid)
servers+=("$pid")
# a_live_socket_is_not_taken_away
says "listen=unix:$directory/there" "another server listens there" 'write another path' -- --size=1M "${there[@]}"
[ -S there ] || fail "the socket of a live server was removed"
# nor_is_its_pid_file
says "pid-file=$directory/pid" "process $pid" 'write another' 'stop that' -- --size=1M --listen="unix:$directory/other" --pid-file=pid
[ "$(cat pid)" = "$pid" ] || fail "the pid file of a live server was overwritten"

if command -v nbdinfo >/dev/null; then
    nbdinfo --size "nbd+unix:///?socket=$directory/there" >size
    [ "$(cat size)" = 1048576 ] || fail "the size is $(cat size)"
    # one_client_too_many_is_closed_at_once, and the others are not: nbdcopy opens four
    if command -v nbdcopy >/dev/null; then
        ! nbdcopy --threads=4 --connections=4 "nbd+unix:///?socket=$directory/there" copy 2>/dev/null ||
            fail "max-connections lets more in"
        until_true 60 nbdcopy --threads=2 --connections=2 "nbd+unix:///?socket=$directory/there" copy ||
            fail "two connections of two are refused"
    fi
fi

# its_end_takes_socket_and_pid_file_away
kill "$pid"
until_true 60 is_over "$pid" || fail "it does not end"
[ ! -e there ] || fail "it leaves its socket"
[ ! -e pid ] || fail "it leaves its pid-file"

# the_socket_of_a_killed_one_is_replaced
"${start[@]}" || fail "it does not start again"
pid=$(cat pid)
servers+=("$pid")
kill -KILL "$pid"
until_true 60 is_over "$pid" || fail "it does not end"
[ "$(cat pid)" = "$pid" ] || fail "there is no pid file to take over"
"${start[@]}" || fail "it does not start on a dead one's socket"
pid=$(cat pid)
servers+=("$pid")

# one_that_is_being_killed_is_waited_for, whatever it has: its memory goes before its sockets do
kill -KILL "$pid"
state=/dev/shm/zslot-held-$$
trap 'stop_all; rm -rf "$state"' EXIT
for held in "--listen=unix:$directory/held" "--listen=tcp:127.0.0.1:$port" --control="$directory/held" \
    --metrics-port="$port" --state="$state" ''; do
    # The last one has the pid file, and nothing else, in common.
    "$zslotd" --size=1M --listen="unix:$directory/first" --foreground ${held:+"$held"} \
        --pid-file="$directory/pid$([ -n "$held" ] && echo 1 || echo 2)" 2>log &
    pid=$!
    servers+=("$pid")
    until_true 60 test -S first || fail "it does not start with ${held:-a pid file}: $(cat log)"
    (
        sleep 0.5
        kill -KILL "$pid"
    ) &
    begun=$EPOCHREALTIME
    "$zslotd" --size=1M --listen="unix:$directory/second" --pid-file="$directory/pid2" ${held:+"$held"} ||
        fail "it does not wait for one that has ${held:-its pid file} and is being killed"
    awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { exit !(b - a >= 0.4) }' || fail "both had ${held:-the pid file}"
    wait "$pid" || true
    second=$(cat pid2)
    servers+=("$second")
    kill "$second"
    until_true 60 is_over "$second" || fail "it does not end"
    rm -rf held first pid1 pid2 "$state"
done

# it_takes_away_no_other_server_s_socket
"${start[@]}" || fail "it does not start"
pid=$(cat pid)
servers+=("$pid")
mv there gone
"$zslotd" --size=1M "${there[@]}" --pid-file="$directory/pid2" || fail "a second one does not start"
second=$(cat pid2)
servers+=("$second")
kill "$pid"
until_true 60 is_over "$pid" || fail "it does not end"
[ -S there ] || fail "it has taken another server's socket away"
kill "$second"
until_true 60 is_over "$second" || fail "the second one does not end"
[ ! -e there ] || fail "the second one leaves its socket"

# nor_a_pid_file_that_it_has_not_made
"${start[@]}" || fail "it does not start"
pid=$(cat pid)
servers+=("$pid")
mv pid gone
echo 1 >pid
kill "$pid"
until_true 60 is_over "$pid" || fail "it does not end"
[ "$(cat pid)" = 1 ] || fail "it has taken another pid file away"
rm pid

# relative_paths_are_those_of_its_start
"$zslotd" --size=1M --listen=unix:there --pid-file=pid --control=steer || fail "relative paths"
[ -s pid ] || fail "the pid-file is elsewhere"
pid=$(cat pid)
servers+=("$pid")
kill "$pid"
until_true 60 is_over "$pid" || fail "it does not end"
for one in there pid steer; do
    [ ! -e "$one" ] || fail "it leaves $one"
done

# without_standard_descriptors_no_file_of_ours_takes_their_place
rm -f pid
"$zslotd" --foreground --size=16M --listen="unix:$directory/closed" --pid-file="$directory/pid" <&- >&- 2>&- &
servers+=($!)
until_true 60 [ -s pid ] || fail "it does not start without standard descriptors"
for fd in 0 1 2; do
    [ "$(readlink "/proc/$(cat pid)/fd/$fd")" = /dev/null ] || fail "descriptor $fd is $(readlink "/proc/$(cat pid)/fd/$fd")"
done
