#!/usr/bin/env bash
# doc-functions.sh - functions that comments and HACKING.md name with "()" exist
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
cd "$srcdir"
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

rooms=(core control plugin server client man tests bench)
mapfile -t sources < <(find "${rooms[@]}" -name '*.[ch]' -o -name '*.def' | sort)
mapfile -t scripts < <(find "${rooms[@]}" examples build-aux -name '*.sh' -o -name '*.inc' | sort)
[ ${#sources[@]} -gt 20 ] || { echo "doc-functions: where are the sources?" >&2 && exit 1; }

# Functions of the C library, the kernel and the libraries that we use.
elsewhere='main|abort|assert|malloc|calloc|free|fork|mmap|munmap|mlock2?|mlockall|munlock|madvise|mprotect
|fallocate|memfd_create|memcpy|memset|getrlimit|sched_yield|syscall|printf|strerror|exit|sleep
|ck_[a-z_]+|nbdkit_[a-z_]+|nbd_[a-z_]+|ZSTD_[A-Za-z_]+|LZ4_[A-Za-z_]+|pthread_[a-z_]+'
elsewhere=${elsewhere//$'\n'/}

# comments FILE...: what is in /* */ or behind //, each line as FILE:LINE: text
comments() {
    awk 'FNR == 1 { inside = 0 }
    {
        rest = $0; text = ""
        while (rest != "") {
            if (inside) {
                end = index(rest, "*/")
                if (!end) { text = text " " rest; break }
                text = text " " substr(rest, 1, end - 1)
                rest = substr(rest, end + 2); inside = 0
            } else {
                # A string may hold what looks like the start of a comment.
                if (match(rest, /"([^"\\]|\\.)*"|\/\*|\/\//) == 0) break
                found = substr(rest, RSTART, RLENGTH)
                rest = substr(rest, RSTART + RLENGTH)
                if (found == "//") { text = text " " rest; break }
                if (found == "/*") inside = 1
            }
        }
        if (text != "") print FILENAME ":" FNR ": " text
    }' "$@"
}

# named FILE...: FILE:LINE: and the name of each function named in comments
named() {
    local c=() other=()
    for file; do
        case $file in *.[ch] | *.def) c+=("$file") ;; *) other+=("$file") ;; esac
    done
    {
        [ ${#c[@]} = 0 ] || comments "${c[@]}"
        [ ${#other[@]} = 0 ] || awk 'FILENAME ~ /\.md$/ || /^[ \t]*#/ {
            print FILENAME ":" FNR ": " $0 }' "${other[@]}"
    } | awk '{
        where = $1; $1 = ""
        while (match($0, /[A-Za-z_][A-Za-z0-9_]*\(\)/)) {
            print where, substr($0, RSTART, RLENGTH - 2)
            $0 = substr($0, RSTART + RLENGTH)
        }
    }'
}

# A definition or a prototype begins in the first column, or is a macro; shell has its own way.
{
    sed -nE 's/^[A-Za-z_][A-Za-z0-9_ *]*[ *]([A-Za-z_][A-Za-z0-9_]*)\(.*/\1/p' "${sources[@]}"
    sed -nE 's/^# *define ([A-Za-z_][A-Za-z0-9_]*)\(.*/\1/p' "${sources[@]}"
    sed -nE 's/^([A-Za-z_][A-Za-z0-9_]*) ?\(\) *[{(].*/\1/p' "${scripts[@]}"
} | sort -u >"$directory/there"

# unknown FILE...: what is named there and is not to be found
unknown() {
    named "$@" | while read -r where name; do
        grep -qxF -- "$name" "$directory/there" || [[ $name =~ ^($elsewhere)$ ]] ||
            echo "$where $name() does not exist"
    done
}

# the_test_sees_what_is_not_there
gone=no_such_function
printf '/* %s() is "gone" */ int x; // and %s()\nchar *s = "/* %s() */";\n' $gone $gone $gone \
    >"$directory/planted.c"
# shellcheck disable=SC2016 # backquotes of Markdown
printf 'See `%s()`, `volume_open()` and `mlock2()`.\n' $gone >"$directory/planted.md"
[ "$(unknown "$directory/planted.c" "$directory/planted.md" | wc -l)" = 3 ] || {
    unknown "$directory/planted.c" "$directory/planted.md"
    echo "doc-functions: does not see a function that is gone" >&2
    exit 1
}

# functions_named_in_comments_exist
unknown "${sources[@]}" "${scripts[@]}" HACKING.md >"$directory/unknown"
cat "$directory/unknown" >&2
[ ! -s "$directory/unknown" ]
