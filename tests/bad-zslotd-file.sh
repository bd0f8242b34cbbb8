#!/usr/bin/env bash
# bad-zslotd-file.sh - a configuration file that is wrong is refused with its name, the line and one sentence
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/zslotd.sh"

# wrong LINE WORD...: the file on stdin is refused there
wrong() {
    local line=$1
    shift
    cat >file
    says "file:$line: " "$@" -- --config=file
}

wrong 1 nonsense KEY=VALUE '[export NAME]' <<<'nonsense'
wrong 1 '=3' KEY=VALUE <<<'=3'
wrong 2 nonsense unknown memory-limit max-connections <<<$'\nnonsense=1'
wrong 3 size=1x 'not a size' <<<$'# all\nlisten=unix:s\nsize=1x'
wrong 2 size=2M before <<<$'size=1M\nsize=2M'
wrong 2 threads before <<<$'threads=1\nthreads=1'
wrong 1 threads=300 256 <<<'threads=300'
wrong 1 'without the --' <<<'--size=1M'
wrong 1 size quotes <<<'size="1M"'
wrong 1 comment 'line of its own' <<<'backing=/tmp/x # there'
wrong 1 config=other 'another one' <<<'config=other'
wrong 1 '[exports]' '[export NAME]' <<<'[exports]'
wrong 1 '[export' '[export NAME]' <<<'[export'
wrong 1 '[export a' '[export NAME]' <<<'[export a'
wrong 1 'no name' <<<'[export ]'
wrong 1 255 <<<"[export $(printf '%0256d' 0)]"
wrong 4 '[export a]' 'of that name' <<<$'[export a]\nsize=1M\n[export b]\n[export a]'
wrong 2 '[export a]' 'before it' <<<$'size=1M\n[export a]'
wrong 2 '[export a]' 'export= stands' <<<$'export=b\n[export a]'
wrong 2 export=b 'before the first' <<<$'[export a]\nexport=b'
wrong 2 threads=2 'before the first [export NAME]' <<<$'[export a]\nthreads=2'
wrong 2 'value zero' < <(printf 'size=1M\nlisten=\0x\n')
wrong 1 'a byte order mark' 'without one' < <(printf '\357\273\277size=1M\n')
wrong 2 'si?[2Jze: unknown' < <(printf 'threads=1\nsi\033[2Jze=1M\n')
! grep -q $'\033' err || fail "a control character gets through"
wrong 1 'size=1?M: not a size' < <(printf 'size=1\177M\n')
wrong 129 'more than 128' < <(for i in $(seq 200); do echo "[export $i]"; done)

# what_is_found_later has the line, or the file if nobody wrote it
says 'null: size=SIZE is missing' 'example size=8G' -- --config=/dev/null
printf '[export a]\nsize=1M\n[export b]\nmemory-limit=8M\n' >file
says 'file: export b: size=SIZE is missing' -- --config=file
printf '[export a]\nsize=1M\n[export b]\nsize=1M\nbacking-size=1M\n' >file
says 'file:5: export b: backing-size' -- --config=file
printf '[export a]\nsize=1M\n[export b]\nsize=1T\nmemory-limit=1M\n' >file
says 'file:5: export b: memory-limit=1M' 'at least memory-limit=' -- --config=file --listen="unix:$directory/s"
printf 'listen=unix:/no/such/directory/s\nsize=1M\n' >file
says 'file:1: listen=unix:/no/such/directory/s' -- --config=file
printf 'size=1M\n' >file
says 'file: listen=ADDRESS is missing' -- --config=file
says '--memory-limit=1M: tables' -- --config=file --size=1T --memory-limit=1M --listen="unix:$directory/s"
printf 'size=1M\ntls-psk=/no/such\n' >file
says 'file:2: tls-psk is about TLS' 'write tls=require' -- --config=file
says 'file:2: tls-psk=/no/such: cannot read it' -- --config=file --tls=require

# two_exports_that_would_have_the_same name both, and the line
two() {
    printf '[export a]\nsize=1M\nmemory-limit=8M\n%s\n[export b]\nsize=1M\nmemory-limit=8M\n%s\n' "$1" "$2" >file
    says "file:8: export b: $2" 'export a has the same' -- --config=file --listen="unix:$directory/s"
}
two control=c control="$directory/c"
mkdir state
ln -s state link
two state="$directory/state" state="$directory/state"
two state="$directory/state" state="$directory/link"
two state="$directory/none" state="$directory/./none"
two state="$directory/none" state="$directory/none/"
two metrics-port=9810 metrics-port=9810
truncate -s 64M backing
ln backing same
two backing="$directory/backing" backing="$directory/same"
two backing=nbd://localhost/x backing=nbd://localhost/x
printf 'listen=unix:c\n[export a]\nsize=1M\n[export b]\nsize=1M\ncontrol=c\n' >file
says 'file:1: listen=unix:c' "control=$directory/c has the same" -- --config=file
printf 'listen=tcp:127.0.0.1:1\nlisten=tcp:127.0.0.1:1\nsize=1M\n' >file
says 'file:2: listen=tcp:127.0.0.1:1' 'before' -- --config=file
{ [ ! -e c ] && [ ! -e s ]; } || fail "a refused server leaves a socket"

# files_that_cannot_be_read
says /etc/zslot/no-such-name.conf 'No such file' -- no-such-name
says nowhere 'No such file' -- --config=nowhere
says . 'directory' -- --config=.
head -c 2000000 /dev/zero | tr '\0' '#' >file
says file 'no configuration file' -- --config=file
says --config= 'no path' -- --config=
for bad in .. a/b ''; do
    says "$bad: not a name" --config=FILE -- "$bad"
done
says two 'one only' -- one two
says --config=x 'one only' -- one --config=x
# Without its --, a parameter is not taken for a name.
says 'size=1M: write --size=1M' -- size=1M

# arguments_of_which_nobody_can_tell_whose
printf '[export a]\nsize=1M\n[export b]\nsize=1M\n' >file
says size=2M '2 exports' -- --config=file --size=2M
says export=c sections -- --config=file --export=c
says threads before -- --config=file --threads=1 --threads=1
