#!/usr/bin/env bash
# kernel.sh - Debian's kernel for virtual machines, unpacked; not installed on this machine
#
#   kernel.sh DIRECTORY
#
# Prints the directory, below DIRECTORY, that has boot/ and lib/modules/: of the kernel that is
# there, or of the newest that apt-get can download. Leaves with 77 when there is none to be had.
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$1"
cd "$1"

# Two cases may ask at the same time.
exec {lock}>lock
flock "$lock"

there=(linux-image-*)
if [ -d "${there[0]}" ]; then
    echo "$PWD/${there[0]}"
    exit
fi

package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
    awk '$1 == "Depends:" { print $2; exit }') || true
[ -n "$package" ] || { echo "apt-get knows no kernel for virtual machines" >&2 && exit 77; }
rm -rf new
mkdir new
(cd new && apt-get -q download "$package" >log 2>&1) || { cat new/log >&2 && exit 77; }
dpkg-deb -x new/*.deb new
depmod -b "$PWD/new" "$(ls new/lib/modules)"
rm -rf new/*.deb new/usr
mv new "$package"
echo "$PWD/$package"
