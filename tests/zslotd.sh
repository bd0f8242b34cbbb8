# zslotd.sh - functions.sh for scripts whose server is zslotd; sourced, not run
#
#   builddir, zslotd    where the build is, and the program
# shellcheck shell=bash
#
# SPDX-License-Identifier: BSD-3-Clause

builddir=$(cd "${builddir:-.}" && pwd)
export NBDKIT=$builddir/tests/run-zslotd ZSLOT_FACE=zslotd
# shellcheck source=tests/functions.sh
source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
zslotd=$builddir/server/zslotd

# says WORD... -- ARGUMENT...: it ends before it serves, with one line in which the words are
says() {
    local words=() status=0 word
    while [ "$1" != -- ]; do
        words+=("$1") && shift
    done
    shift
    # What starts in spite of it stays in the foreground, and ends with this test.
    NOTIFY_SOCKET=$PWD/nobody timeout 60 "$zslotd" "$@" >out 2>err || status=$?
    [ "$status" = 1 ] || fail "zslotd $*: status $status: $(cat out err)"
    [ "$(wc -l <err)" = 1 ] || fail "zslotd $*: not one line: $(cat err)"
    for word in "${words[@]}"; do
        grep -qF -- "$word" err || fail "zslotd $*: \"$word\" is not in: $(cat err)"
    done
}
