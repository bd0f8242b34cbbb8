#!/usr/bin/env bash
# mutants.sh - proves that the tests of core and server can fail
#
#   tests/mutants.sh [NAME...]       all mutants, or those named
#   tests/mutants.sh --apply         only whether each still changes its file
#
# Each tests/mutants/NAME.sed breaks one thing in one file; its first lines say which file,
# and which test must then fail, by program and name; of a header also into which file that includes
# it it goes.  Each of these tests is seen to pass on what is there.  A mutant that survives, or
# that does not apply any more, fails this script; it has three turns to be killed in.
#
# Needs CC, CFLAGS and LIBS in the environment or finds them by pkg-config; runs by
# "make check-mutants" from a build, where config.h is.
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$tests")
work=$(mktemp -d "${TMPDIR:-/tmp}/zslot-mutants.XXXXXX")
trap 'rm -rf "$work"' EXIT

# of NAME KEY: what the mutant's first lines say
of() {
    sed -n "s/^# $2: //p" "$tests/mutants/$1.sed"
}

# Makes $work/mutated of the file that the mutant is for, or says why not.
mutate() { # NAME
    local source
    source=$(of "$1" file)
    sed -f "$tests/mutants/$1.sed" "$top/$source" >"$work/mutated"
    if cmp -s "$work/mutated" "$top/$source"; then
        echo "does not apply to $source any more"
    fi
}

only_apply=no
[ "${1:-}" != --apply ] || { only_apply=yes && shift; }
names=("$@")
if [ ${#names[@]} = 0 ]; then
    for file in "$tests"/mutants/*.sed; do
        names+=("$(basename "$file" .sed)")
    done
fi
if [ $only_apply = yes ]; then
    status=0
    for name in "${names[@]}"; do
        why=$(mutate "$name")
        [ -z "$why" ] || { echo "$name: $why" && status=1; }
    done
    exit $status
fi

builddir=${builddir:-$top}
if [ ! -e "$builddir/config.h" ]; then
    builddir=$work
    : >"$work/config.h"
fi
read -r -a cc <<<"${CC:-cc}"
read -r -a libs <<<"${LIBS:-$(pkg-config --libs check libzstd liblz4 libxxhash \
    libevent libevent_pthreads liburing blkid libnbd gnutls)} -lpthread"
flags=(-std=gnu11 -O1 -g -w -D_GNU_SOURCE -DZSLOT_GATES=1 -DZSLOT_DEBUG=1
    -iquote "$builddir" -iquote "$top" -iquote "$top/core" -iquote "$top/control" -iquote "$top/server" -iquote "$tests")
# A mutant may wait for ever.
export ZSLOT_TEST_CHECK_S=1 CK_DEFAULT_TIMEOUT=20 CK_VERBOSITY=verbose ZSLOT_TEST_OPS=${ZSLOT_TEST_OPS:-100}

compile() { # SOURCE OBJECT
    "${cc[@]}" "${flags[@]}" -c -o "$2" "$1"
}

mkdir -p "$work/objects"
for source in "$top"/core/*.c "$top"/server/*.c; do
    case $source in
    */zslotd.c | */notify.c | */volumes.c) ;; # main(), and what it alone uses
    *) compile "$source" "$work/objects/$(basename "$source" .c).o" ;;
    esac
done
helpers=()
for helper in harness actor sample model race backing-faulty policy slots stages stored journal statedir kept \
    server served starttls told; do
    compile "$tests/$helper.c" "$work/$helper.o"
    helpers+=("$work/$helper.o")
done

# Links test PROGRAM with all objects, the mutated one instead of its like if there is one.
link() { # PROGRAM OUTPUT [MUTATED-NAME]
    local objects=() object
    [ -e "$work/$1.o" ] || compile "$tests/$1.c" "$work/$1.o"
    for object in "$work"/objects/*.o; do
        if [ "$(basename "$object" .o)" = "${3:-}" ]; then
            object=$work/mutated.o
        fi
        objects+=("$object")
    done
    "${cc[@]}" -o "$2" "$work/$1.o" "${helpers[@]}" "${objects[@]}" "${libs[@]}"
}

run() { # PROGRAM-FILE LOG
    timeout --kill-after=5 120 "$1" >"$2" 2>/dev/null || true
}

# Whether the test passed, failed or was not run, as its program says it.
result() { # LOG TEST
    awk -v test=":$2:" 'index($0, test) { split($0, field, ":"); print field[3]; exit }' "$1"
}

# The verdict on $work/mutant.  A machine that does much else may hide a mistake of a race, or let a test
# run out of its time, so this is done more than once before a mutant has survived.
try() { # PROGRAM TEST
    local whole mutated
    # As it is, once for all mutants that it is to notice.
    [ -e "$work/$1.log" ] || run "$work/$1" "$work/$1.log"
    run "$work/mutant" "$work/mutant.log"
    whole=$(result "$work/$1.log" "$2")
    mutated=$(result "$work/mutant.log" "$2")
    case $whole$mutated in
    PF | PE | PS) echo killed ;; # S: it does not even get through the setup
    PP) echo SURVIVED ;;
    P*) echo "$2 was not run" ;;
    *)
        echo "$2 does not pass without it"
        rm "$work/$1.log"
        ;;
    esac
}

survived=()
for name in "${names[@]}"; do
    source=$(of "$name" file)
    read -r program test < <(of "$name" test)
    verdict=$(mutate "$name")
    if [ -z "$verdict" ]; then
        if [[ $source = *.h ]]; then
            into=$(of "$name" in)
            mv "$work/mutated" "$work/mutated.h"
            sed "s|^#include \"$(basename "$source")\"|#include \"$work/mutated.h\"|" "$top/$into" >"$work/mutated.c"
            source=$into
        else
            mv "$work/mutated" "$work/mutated.c"
        fi
        [ -e "$work/$program" ] || link "$program" "$work/$program"
        compile "$work/mutated.c" "$work/mutated.o"
        link "$program" "$work/mutant" "$(basename "$source" .c)"
        for turn in 1 2 3; do
            verdict=$(try "$program" "$test")
            [ "$verdict" != killed ] || break
        done
        [ "$turn$verdict" = 1killed ] || verdict+=" (in turn $turn)"
    fi
    printf '%-40s %s\n' "$name" "$verdict"
    [[ $verdict = killed* ]] || survived+=("$name")
done
if [ ${#survived[@]} != 0 ]; then
    echo "${#survived[@]} of ${#names[@]} mutants were not killed: ${survived[*]}" >&2
    exit 1
fi
echo "all ${#names[@]} mutants were killed"
