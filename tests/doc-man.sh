#!/usr/bin/env bash
# doc-man.sh - the manual has no mistakes of form, and says what the code declares
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
builddir=$(cd "${builddir:-$srcdir}" && pwd)
pages=()
for pod in "$srcdir"/man/*.pod; do
    name=$(basename "$pod" .pod)
    pages+=("$(compgen -G "$builddir/man/$name.[1578]")") || { echo "doc-man: $name is not built" >&2 && exit 1; }
done
filled=$builddir/man/nbdkit-zslot-plugin.filled
zslotd=$builddir/man/zslotd

fail() {
    echo "doc-man: $*" >&2
    exit 1
}

[ ${#pages[@]} -ge 6 ] || fail "only ${#pages[@]} pages"

# pod_has_no_errors_or_warnings
for pod in "$srcdir"/man/*.pod "$builddir"/man/*.filled; do
    said=$(podchecker -warnings -warnings "$pod" 2>&1 | grep -v ' pod syntax OK' || true)
    [ -z "$said" ] || fail "$said"
done

# each_page_renders_without_warnings
if command -v groff >/dev/null; then
    for page in "${pages[@]}"; do
        said=$(LC_ALL=C.UTF-8 groff -man -Tutf8 -ww -K utf8 -rLL=100n "$page" 2>&1 >/dev/null)
        [ -z "$said" ] || fail "$said"
    done
fi

# each_parameter_of_zslotd_is_there
while read -r key; do
    grep -q "^=item B<--$key=>I<" "$zslotd.filled" || fail "zslotd: $key is not in the manual"
done < <(sed -nE 's/^(OPTION|SETTING)\([a-z_]+, "([^"]*)".*/\2/p' "$srcdir/core/options.def" \
    "$srcdir/server/settings.def")

# each_statistic_and_state_is_there
for name in $(sed -n 's/^STAT(\([a-z_]*\),.*/\1/p' "$srcdir/core/stats.def") \
    $(sed -n 's/^ *[SM](\([A-Z]*\), .*/\1/p' "$srcdir/core/slot.h"); do
    grep -qw -- "$name" "$filled" || fail "$name is not in the manual"
    [[ $name == [A-Z]* ]] || grep -qw -- "$name" "$builddir/man/zslot-control.filled" ||
        fail "$name is not in zslot-control(7)"
    count=${count:-0} && count=$((count + 1))
done
[ "${count:-0}" -ge 20 ] || fail "found only ${count:-0} statistics and states to look for"

# a_parameter_left_out_ends_the_build
describe=$builddir/man/describe
if [ -x "$describe" ]; then
    directory=$(mktemp -d)
    trap 'rm -rf "$directory"' EXIT
    grep -v '^=for zslot parameter size' "$srcdir/man/nbdkit-zslot-plugin.pod" >"$directory/less.pod"
    if "$describe" "$directory/less.pod" >/dev/null 2>&1; then
        fail "describe does not miss a parameter"
    fi
    echo '=for zslot parameter nonsense' >"$directory/more.pod"
    if "$describe" "$directory/more.pod" >/dev/null 2>&1; then
        fail "describe knows a parameter that there is not"
    fi
fi
