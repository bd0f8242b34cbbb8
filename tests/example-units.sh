#!/usr/bin/env bash
# example-units.sh - systemd understands the units of the examples, and finds what they start
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/functions.sh
. "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"

need systemd-analyze
builddir=${builddir:-$srcdir}

# verify UNIT: where programs are not installed
verify() {
    sed "s|=\\(-\\{0,1\\}\\)zslot-attach |=\\1$builddir/client/zslot-attach |
        s|=\\(-\\{0,1\\}\\)nbdkit |=\\1$NBDKIT |
        s|=\\(-\\{0,1\\}\\)modprobe |=\\1/bin/true |" "$srcdir/examples/$1" >"$2"
    systemd-analyze verify --man=no "./$2" 2>&1
}

# the_test_sees_a_mistake
said=$(verify zslot-host.service host.service && echo Nonsense=1 >>host.service &&
    systemd-analyze verify --man=no ./host.service 2>&1) || true
[[ $said == *Nonsense* ]] || skip "systemd-analyze verify does not work here: $said"

# units_have_no_mistakes
for unit in zslot-host.service zslot-swap@.service; do
    said=$(verify "$unit" "${unit/@/@192.0.2.1}") || fail "$unit: $said"
    [ -z "$said" ] || fail "$unit: $said"
done
