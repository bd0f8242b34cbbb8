#!/usr/bin/env bash
# doc-readme.sh - what README.md tells people to type works, and what it links to is there
#
# Each block of commands runs by itself in an empty directory that has a disk.img, unless the line
# before it says <!-- not run by the test: REASON -->, or <!-- needs: PROGRAM --> and there is none.
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

NBDKIT=${NBDKIT:-nbdkit}
srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
for tool in nbdcopy nbdinfo qemu-img zstd; do
    command -v $tool >/dev/null || { echo "no $tool" && exit 77; }
done

directory=$(mktemp -d)
stop() {
    for pid in "$directory"/block/*.pid; do
        [ ! -s "$pid" ] || kill "$(cat "$pid")" 2>/dev/null || true
    done
    rm -rf "$directory"
}
trap stop EXIT

fail() {
    echo "doc-readme: $*" >&2
    exit 1
}

# blocks README: writes each block to blocks/LINE, and what was said before it to notes/LINE
blocks() {
    mkdir -p "$directory/blocks" "$directory/notes"
    awk -v to="$directory/" '
        /^```/ && inside { inside = 0; next }
        /^```sh$/ { inside = 1; file = to "blocks/" FNR; print note >(to "notes/" FNR); next }
        /^```/ { inside = 1; file = "/dev/null"; next }
        inside { print >file; next }
        { note = $0 }' "$1"
}

# links README: what it links to in the tree
links() {
    grep -oE '\]\([^)]+\)' "$1" | sed 's/^](//; s/)$//' | grep -vE '^(https?:|#)'
}

# missing_links README
missing_links() {
    links "$1" | while read -r link; do
        [ -e "$srcdir/${link%%#*}" ] || echo "$link"
    done
}

# the_test_sees_a_broken_link
echo '[a](no/such/file.md) [b](https://example.org/) [c](README.md)' >"$directory/planted.md"
[ "$(missing_links "$directory/planted.md")" = no/such/file.md ] || fail "does not see a broken link"

# links_are_there
for file in README.md HACKING.md NEWS.md; do
    missing=$(missing_links "$srcdir/$file" || true)
    [ -z "$missing" ] || fail "$file links to what is not there: $missing"
done

# blocks_run
mkdir "$directory/bin"
# The plugin just built, by the name that people type.
# shellcheck disable=SC2016
printf '#!/bin/sh\nPATH=%q exec %q "$@"\n' "$PATH" "$(command -v "$NBDKIT")" >"$directory/bin/nbdkit"
chmod +x "$directory/bin/nbdkit"
blocks "$srcdir/README.md"
ran=0
for block in "$directory"/blocks/*; do
    line=${block##*/}
    note=$(cat "$directory/notes/$line")
    case $note in
    '<!-- not run by the test: '*' -->') continue ;;
    '<!-- needs: '*' -->')
        tool=${note#<!-- needs: }
        # Being there is not enough: nbdsh is a script of a Python module.
        "${tool% -->}" --version >/dev/null 2>&1 || continue
        ;;
    esac
    mkdir "$directory/block"
    zstd -q -d "$srcdir/tests/data/sample.pages.zst" -o "$directory/block/disk.img"
    (
        cd "$directory/block"
        PATH=$directory/bin:$PATH timeout 60 bash -euo pipefail "$block"
    ) >"$directory/out" 2>&1 </dev/null || {
        cat "$directory/out" >&2
        fail "README.md line $line: the commands fail"
    }
    if [ -e "$directory/block/copy.img" ]; then
        cmp -n "$(stat --format=%s "$directory/block/disk.img")" \
            "$directory/block/disk.img" "$directory/block/copy.img" ||
            fail "README.md line $line: copy.img is not disk.img"
    fi
    rm -rf "$directory/block"
    ran=$((ran + 1))
done
[ "$ran" -ge 5 ] || fail "only $ran blocks were run"
