#!/usr/bin/env bash
# ctl-verbs.sh - zslotctl: what it prints, what it does, and how it ends
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need jq nbdcopy
zslotctl=${builddir:-$srcdir}/control/zslotctl
[ -x "$zslotctl" ] || fail "$zslotctl is not built"
export ZSLOT_CONTROL=$directory/control

# ends STATUS 'WORD' ARGUMENT...: zslotctl ends so and says that
ends() {
    local wanted=$1 word=$2 status=0
    shift 2
    "$zslotctl" "$@" >out 2>err || status=$?
    [ "$status" = "$wanted" ] || fail "zslotctl $*: status $status: $(cat out err)"
    [[ $(cat out err) == *"$word"* ]] || fail "zslotctl $*: \"$word\" is not in: $(cat out err)"
}

number() {
    "$zslotctl" stat -b -n -r -o "$1"
}

# without_a_server
ends 3 'No such file; give a server control=SOCKET' stat
mkdir sub
: >file
for one in sub file; do
    ends 3 "$one: this is no socket" -s "$one" stat
done
ends 3 'at most 107 bytes' -s "/$(printf '%0200d' 0)" stat
ends 2 '--socket=: no path' -s '' stat
ends 2 'no command'
ends 2 'unknown command' frobnicate
ends 2 'something is missing; write zslotctl writeback all|idle|huge|huge_idle [MAX]' writeback
ends 2 'something is missing; write zslotctl set KEY=VALUE' set
ends 2 'that is too much; write zslotctl compact;' compact 1
ends 2 'too much' retry 1
ends 2 'compressor: not KEY=VALUE' set compressor
ends 2 '--count=0: not a number from 1' top -c 0
ends 2 '--interval=0: not seconds' top -d 0
# an_option_that_does_not_apply_is_refused
ends 2 'stat: there is no --count for it, only for top' -c 3 stat
ends 2 'slots: there is no --output for it, only for stat' -o NAME slots
ends 2 'top: there is no --json for it, only for stat, slots' top -J
ends 2 'idle: there is no --bytes' -b idle
ends 2 'compact: one socket only' -s a -s b compact
ends 0 'Exit status' --help
ends 0 zslotctl --version

# completion: the commands, columns and options that there are
complete_for() { # WORD...: the last one is to be completed
    COMP_WORDS=(zslotctl "$@") COMP_CWORD=$# COMPREPLY=()
    _zslotctl
    printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
}
# shellcheck source=control/completion/zslotctl
source "$srcdir/control/completion/zslotctl"
"$zslotctl" --help >help
[ "$(complete_for stat --output '')" = "$(sed -n '/^Columns/,/^$/s/^  \([A-Z-]*\) .*/\1/p' help | sort | tr '\n' ' ')" ] ||
    fail "columns: $(complete_for stat --output '')"
[ "$(complete_for '')" = "$(sed -n '/^Commands/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p' help | sort | tr '\n' ' ')" ] ||
    fail "commands: $(complete_for '')"
[ "$(complete_for --)" = "$(grep -oE -- '--[a-z-]+' help | sort -u | tr '\n' ' ')" ] || fail "options: $(complete_for --)"
[ "$(complete_for recompress zstd:9 h)" = "huge huge_idle " ] || fail "$(complete_for recompress zstd:9 h)"
[ "$(complete_for set m)" = "memory-limit= " ] || fail "$(complete_for set m)"

serve -D zslot.check=1 zslot 64M backing=backing backing-size=64M memory-limit=32M control=control
zstd -dc "$sample" >pages
nbdcopy pages "$uri"

# the_socket_of_nbd_is_known
ends 3 'a socket for NBD; give the server control=SOCKET' -s "$socket" stat

# tables
ends 0 ALGORITHM stat
ends 0 zstd:1 stat --noheadings
[ "$("$zslotctl" stat --json | jq -r '.zslot[0].disksize')" = 64M ] || fail "$("$zslotctl" stat --json)"
[ "$("$zslotctl" stat --json --bytes | jq '.zslot[0].disksize')" = 67108864 ] || fail "$("$zslotctl" stat -Jb)"
[ "$(number DISKSIZE,BACKING)" = '67108864 ok' ] || fail "$(number DISKSIZE,BACKING)"
[ "$("$zslotctl" stat --output-all | head -n 1 | wc -w)" = "$(sed -n '/^Columns/,/^$/s/^  \([A-Z-]*\) .*/\1/p' help | wc -w)" ] ||
    fail "$("$zslotctl" stat --output-all)"
ends 2 'stat: --output-all and --output' stat -o NAME --output-all
[ "$(number MEM-LIMIT,mem-used)" = "$(number LIMIT,MEM-USED)" ] || fail "$(number MEM-LIMIT,MEM-USED)"
ends 2 'unknown column' stat -o NAME,NONSENSE
ends 2 'no column' stat -o ''
ends 2 'not a number from 1' top --count=4294967296
ends 3 'No such file' -s "$directory/control" -s "$directory/none" stat
[ "$(grep -c zstd:1 out)" = 1 ] || fail "the server that is there is left out"
[[ $(number SEGMENTS,BD-FREE) =~ ^[0-9]\ [0-9]{8}$ ]] || fail "$(number SEGMENTS,BD-FREE)"
ends 0 'backing store ok' top --count=2 --interval=0.1
! grep -q $'\e' out || fail "control sequences without a terminal"

# on_a_terminal: another screen, which is left, and then the last picture
if command -v script >/dev/null; then
    script -qec "$zslotctl top --count=2 --interval=0.1" /dev/null >screen </dev/null
    [[ $(cat screen) == *$'\e[?1049h'*'backing store'*$'\e[?1049l'*'backing store'* ]] || fail "$(cat -v screen)"
    [[ $(cat screen) == *$'\e[?25h'* ]] || fail "no cursor afterwards"
    NO_COLOR=1 script -qec "$zslotctl top --count=1" /dev/null >screen </dev/null
    ! grep -qE $'\e\\[[0-9]+m' screen || fail "colours: $(cat -v screen)"
    # "q" ends it, and so does a signal
    (sleep 0.5; echo q; sleep 5) | timeout 20 script -qec "$zslotctl top --interval=60" /dev/null >screen ||
        fail "status $?: $(cat -v screen)"
    [[ $(cat screen) == *$'\e[?1049l'* ]] || fail "it does not leave the screen"
    # One that does not end us may come at any moment, also while an answer is waited for.
    script -qec "$zslotctl top --count=250 --interval=0.1 & top=\$!
        while kill -WINCH \$top 2>/dev/null; do :; done; wait \$top" /dev/null >screen </dev/null ||
        fail "status $? after its size has changed: $(tail -c 300 screen | cat -v)"
    script -qec "$zslotctl compact" /dev/null >screen </dev/null
    [[ $(cat screen) == *'compact: done'* ]] || fail "$(cat -v screen)"
fi

# slots
[ "$("$zslotctl" slots -J 0 3 | jq '.slots | length')" = 3 ] || fail "$("$zslotctl" slots 0 3)"
ends 1 ': 16384: not a number from 0 to 16383' slots 16384
ends 1 ': 0: not a number' slots 0 0

# long_work
written=$("$zslotctl" slots -n -r 0 1024 | grep -c ' [ch] ')
ends 0 'idle: done' idle
ends 1 'known only with idle-age' idle 60
# What is refused is said in the words of the command line.
ends 1 ': some; write one of all, idle, huge, huge_idle' writeback some
ends 1 ': 0: not a size of 1 byte or more; write for example 64M' writeback all 0
ends 0 'writeback: done' writeback idle 100k
[ "$(number BD-WRITES)" -gt 0 ] || fail "nothing was written"
[ "$(number BD-WRITES)" -lt "$written" ] || fail "more than 100k was written"
ends 0 'writeback: done' writeback all
[ "$(number COMPR)" = 0 ] || fail "$(number COMPR) bytes stay"
ends 0 'compact: done' compact
ends 0 '' retry
ends 1 'zstd:99' recompress zstd:99 all
ends 1 ': none: it makes nothing shorter; write for example zstd:9' recompress none all
ends 1 ': foo: neither lz4 nor zstd:LEVEL' recompress foo all
! grep -q -e compressor -e none err || fail "$(cat err)"
ends 1 'write one of all' recompress zstd:9 some
ends 2 'something is missing' recompress zstd:9
ends 0 'recompress: done, 0 pages' recompress zstd:9 all
nbdcopy "$uri" back
cmp -n "$(wc -c <pages)" pages back || fail "another content"

nbdcopy pages "$uri"
ends 0 'recompress: done' recompress zstd:19 all
[ "$(awk '/^recompress: done/ { print $3 }' out)" -gt 100 ] || fail "$(cat out)"
nbdcopy "$uri" back
cmp -n "$(wc -c <pages)" pages back || fail "another content after recompression"

# parameters
ends 0 '' set compressor=lz4 memory-limit=16M idle-age=60 writeback-limit=1G/day
[ "$(number ALGORITHM,LIMIT)" = 'lz4 16777216' ] || fail "$(number ALGORITHM,LIMIT)"
ends 1 'number from -7 to 19' set memory-limit=20M compressor=zstd:99
ends 1 'or memory-limit=none' set memory-limit=abc
ends 1 'at least memory-limit=' set memory-limit=1M
ends 1 'unknown key' set size=1G
[ "$(number ALGORITHM,LIMIT)" = 'lz4 16777216' ] || fail "a refusal changed $(number ALGORITHM,LIMIT)"
nbdcopy pages "$uri"
nbdcopy "$uri" back
cmp -n "$(wc -c <pages)" pages back || fail "another content with lz4"

stop
grep -q '^zslot: check: ok$' log || fail "$(cat log)"

# without_a_backing_store
serve zslot 64M control=control
ends 1 'no backing store; start the server with backing=PATH' writeback all
ends 1 'no backing store; start the server with backing=PATH' retry
ends 1 'about a backing store' set idle-age=60
ends 0 'none' stat
