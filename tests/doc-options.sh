#!/usr/bin/env bash
# doc-options.sh - each parameter is in --help, in --dump-plugin and in the manual, and so is each codec
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

NBDKIT=${NBDKIT:-nbdkit}
srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
builddir=$(cd "${builddir:-$srcdir}" && pwd)
page=$builddir/man/nbdkit-zslot-plugin.filled

fail() {
    echo "doc-options: $*" >&2
    exit 1
}

help=$("$NBDKIT" zslot --help)
dump=$("$NBDKIT" zslot --dump-plugin)
manual=$(cat "$page")

# key, value, default
keys=()
while IFS=$'\t' read -r key value default; do
    keys+=("$key")
    [[ $'\n'$help == *$'\n'"$key=$value  (default: $default)"* ]] || fail "$key: not in --help"
    [[ $'\n'$manual == *$'\n'"=item B<$key=>I<$value>"$'\n'* ]] || fail "$key: not in the manual"
    [ "$default" = "none; required" ] || [ "$default" = unset ] || [[ $manual == *"default is C<$default>"* ]] ||
        fail "$key: its default is not in the manual"
done < <(sed -nE 's/^OPTION\([a-z_]+, "([^"]*)", "([^"]*)", "([^"]*)".*/\1\t\2\t\3/p' \
    "$srcdir/core/options.def")
[ ${#keys[@]} -ge 4 ] || fail "found only ${#keys[@]} parameters in options.def"

# no_parameter_is_left_out_or_made_up
[ "$(sed -n 's/^zslot_parameters=//p' <<<"$dump")" = "${keys[*]}" ] ||
    fail "zslot_parameters of --dump-plugin is not: ${keys[*]}"
[ "$(grep -c '^[a-z-]*=.*  (default: ' <<<"$help")" = ${#keys[@]} ] ||
    fail "--help has other parameters too"
[ "$(grep -c '^=item B<[a-z-]*=>I<' <<<"$manual")" = ${#keys[@]} ] ||
    fail "the manual has other parameters too"

# codecs
codecs=$(sed -n 's/^zslot_codecs=//p' <<<"$dump")
[ -n "$codecs" ] || fail "no codecs in --dump-plugin"
for codec in $codecs; do
    grep -q "^=item B<$codec>" <<<"$manual" || fail "$codec: not in the manual"
done

# an_unknown_parameter_is_refused_with_the_list
said=$("$NBDKIT" zslot 1G nonsense=1 2>&1) && fail "nonsense=1 is accepted"
[[ $said == *"${keys[*]}"* ]] || fail "the refusal does not list the parameters: $said"
