#!/usr/bin/env bash
# io-nbdinfo.sh - nbdinfo sees the size, what the export can, and where its data is
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdinfo nbdcopy

serve zslot 1G

[ "$(nbdinfo --size "$uri")" = 1073741824 ] || fail "size"
for what in cache df fast-zero flush fua multi-conn read structured-reply trim write zero; do
    nbdinfo --can "$what" "$uri" || fail "the export cannot $what"
done
for what in read-only rotational tls; do
    status=0
    nbdinfo --is "$what" "$uri" || status=$?
    [ "$status" = 2 ] || fail "the export is $what (status $status)"
done
nbdinfo "$uri" >all
grep -q 'block_size_minimum: 1$' all || fail "minimum block size: $(cat all)"
grep -q 'block_size_preferred: 4096$' all || fail "preferred block size: $(cat all)"
maximum=4294967295
[ "${ZSLOT_FACE:-}" != zslotd ] || maximum=33554432
grep -q "block_size_maximum: $maximum\$" all || fail "maximum block size: $(cat all)"

# a_volume_has_an_identity_of_its_own
description() {
    nbdinfo "$uri" | sed -n 's/^\tdescription: //p'
}
identity=$(description)
[[ $identity =~ ^zslot\ [0-9a-f]{32}$ ]] || fail "the description is \"$identity\""
[ "$(description)" = "$identity" ] || fail "the next connection has another identity"
stop
serve zslot 1G
[ "$(description)" != "$identity" ] || fail "the next volume has the same identity"

# map WANTED: nbdinfo's map of the export, without the spaces that align it
map() {
    nbdinfo --map "$uri" | awk '{ print $1, $2, $3, $4 }' >map
    diff <(printf '%s\n' "$@") map || fail "the map of the export is not that"
}

# an_empty_export_is_one_hole
map "0 1073741824 3 hole,zero"

# data_is_where_it_was_written, in whole pages
head -c 10000 /dev/urandom >data
nbdcopy data "$uri"
map "0 12288 0 data" "12288 1073729536 3 hole,zero"
nbdinfo --map --totals "$uri" | grep -q '^ *12288 .* data$' || fail "totals"

# zeroes_written_are_a_hole_again
head -c 8192 /dev/zero >zeroes
nbdcopy zeroes "$uri"
map "0 8192 3 hole,zero" "8192 4096 0 data" "12288 1073729536 3 hole,zero"

stop
