#!/usr/bin/env bash
# image.sh - a disk image on a compressed export: in by qemu, compared, out by nbdcopy
#
#   image.sh IMAGE FORMAT URI COPY
#
# IMAGE is of FORMAT (raw, qcow2, ...), and URI an empty export of the same size or more, for example
#
#   nbdkit -U /tmp/disk.sock zslot 20G
#   image.sh disk.qcow2 qcow2 'nbd+unix:///?socket=/tmp/disk.sock' copy.raw
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

[ $# = 4 ] || { sed -n '4s/^# *//p' "$0" >&2 && exit 2; }
image=$1 format=$2 uri=$3 copy=$4

# -n: the export exists.  --target-is-zero: a new one is empty, so zeroes are not even sent.
qemu-img convert -n --target-is-zero -f "$format" -O raw "$image" "$uri"

# Parts of the export past the end of the image must be zeroes.
qemu-img compare -f "$format" -F raw "$image" "$uri"

echo "what has content:"
nbdinfo --map --totals "$uri"

# All connections see the same disk; holes stay holes.
nbdcopy --connections=4 "$uri" "$copy"
