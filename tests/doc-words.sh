#!/usr/bin/env bash
# doc-words.sh - documents and comments use one word for one thing, and name no place of somebody's own
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
cd "$srcdir"
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

documents=(README.md HACKING.md NEWS.md man/*.pod core/*.def server/*.def docs/*.svg)
mapfile -t everything < <(find . \( -name .git -o -name build -o -name _build -o -name autom4te.cache \) -prune -o \
    -type f \( -name '*.[ch]' -o -name '*.def' -o -name '*.sh' -o -name '*.md' -o -name '*.pod' -o \
    -name '*.svg' -o -name '*.inc' -o -name '*.am' -o -name '*.ac' -o -name quickstart -o \
    -name needs -o -path './.ci/*' \) -print | sort)

# What must not be there (extended, any case), and what to write instead.
words() {
    cat <<'END'
(^|[^a-z])(backend|backing device|backing file)s?([^a-z]|$)|backing store
(^|[^g] |[^n]g |[^i]ng )(the|a|an|its|our|this) stores?([^a-z]|$)|backing store
write-back|writeback
same filled|same-filled
(^|[^a-z])(un|non-?)compressible|incompressible
(^|[^a-z])in-compressible|incompressible
(^|[^a-z])zpage|page, object or place
(^|[^a-z])(blazing|lightning|seamless|effortless|cutting-edge|state-of-the-art|world-class|robust)|say what it does
(^|[^a-z])(simply|obviously|of course|just works)([^a-z]|$)|leave it out
END
}

# Places that exist on one machine only.
places='(^|[^a-z0-9_.$}-])/(home|root|Users|w[o]rk|srv|workspace)/[a-z]'

# look_for PATTERN ADVICE FILE...
look_for() {
    local pattern=$1 advice=$2
    shift 2
    grep -inE -- "$pattern" /dev/null "$@" | sed "s|\$|    <- $advice|" || true
}

# check_words FILE...
check_words() {
    words | while IFS= read -r line; do
        look_for "${line%|*}" "${line##*|}" "$@"
    done
}

# the_test_sees_what_it_looks_for
{
    echo 'a page in the store, an uncompressible one'
    echo 'the backing store is fine, and so is /dev/nbd0'
    echo "see /w""ork/notes and /ho""me/me"
} >"$directory/planted"
seen=$(check_words "$directory/planted" && look_for "$places" place "$directory/planted")
if [ "$(grep -c -e '<-' <<<"$seen")" != 3 ]; then
    echo "$seen" >&2
    echo "doc-words: does not see bad words" >&2
    exit 1
fi

{
    check_words "${documents[@]}"
    look_for "$places" "a place on one machine" "${everything[@]}"
} >"$directory/found"
cat "$directory/found" >&2
[ ! -s "$directory/found" ]
