#!/usr/bin/env bash
# example-zslotd-unit.sh - systemd has no complaints about the unit, and finds it confined
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
builddir=$(cd "${builddir:-$srcdir}" && pwd)
command -v systemd-analyze >/dev/null || { echo "skipped: there is no systemd-analyze" && exit 77; }
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

fail() {
    echo "example-zslotd-unit: $*" >&2
    exit 1
}

# With the program just built, since verify looks whether it is there. (The manual may not be installed.)
sed -e "s|^ExecStart=/usr/sbin/zslotd|ExecStart=$builddir/server/zslotd|" -e '/^Documentation=/d' \
    "$srcdir/examples/zslotd.service" >"$directory/zslotd.service"
grep -q "^ExecStart=$builddir/server/zslotd " "$directory/zslotd.service" || fail "no ExecStart"

# Where verify needs a running systemd, even a plain unit fails.
printf '[Service]\nExecStart=/bin/true\n' >"$directory/plain.service"
systemd-analyze verify "$directory/plain.service" >/dev/null 2>&1 ||
    { echo "skipped: systemd-analyze verify does not work here" && exit 77; }

said=$(systemd-analyze verify "$directory/zslotd.service" 2>&1) || fail "$said"
[ -z "$said" ] || fail "$said"

# the_check_sees_a_mistake
sed 's/^RestrictRealtime=/RestrictRealTimes=/' "$directory/zslotd.service" >"$directory/wrong.service"
[ -n "$(systemd-analyze verify "$directory/wrong.service" 2>&1)" ] || fail "verify sees nothing"

# its_exposure_is_low, where this systemd-analyze can tell without a running one
if systemd-analyze --help | grep -q -- --offline; then
    systemd-analyze security --offline=true --threshold=25 "$directory/zslotd.service" >"$directory/out" 2>&1 ||
        fail "$(tail -n 3 "$directory/out")"
fi

# Its parameters are accepted: it starts with them, but for the socket and the right to lock.
mapfile -t arguments < <(sed -n 's/^ExecStart=[^ ]* //p' "$directory/zslotd.service" | tr ' ' '\n' |
    sed -e 's|^--listen=.*|--listen=unix:'"$directory"'/socket|' -e "s|=/run/zslotd/|=$directory/|" -e 's|^--memory-lock=.*|--memory-lock=false|')
"$builddir/server/zslotd" "${arguments[@]}" --pid-file="$directory/pid" ||
    fail "zslotd ${arguments[*]} does not start"
pid=$(cat "$directory/pid")
kill "$pid"
for _ in $(seq 3000); do
    [ -e "$directory/pid" ] || exit 0
    sleep 0.01
done
fail "it does not end"
