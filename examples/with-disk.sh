#!/usr/bin/env bash
# with-disk.sh - runs a command with a compressed RAM disk, and says what the disk took
#
#   with-disk.sh SIZE COMMAND [PARAMETER...]
#
# COMMAND is for the shell and finds the disk as "$uri".  What nbdkit's stats filter counted, in
# requests, and what zslot counted, in pages, are printed when it ends:
#
#   with-disk.sh 10G 'nbdcopy disk.img "$uri"' compressor=zstd:-1
#
# Environment: NBDKIT (nbdkit).
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

[ $# -ge 2 ] || { sed -n '4s/^# *//p' "$0" >&2 && exit 2; }
size=$1 command=$2
shift 2

# -U -: a Unix socket with a name that nobody knows, gone at the end.
# statsappend: standard error may be a file, which must not be emptied.
# nbdkit leaves with the command's exit status.
exec "${NBDKIT:-nbdkit}" -f -U - --filter=stats -D zslot.stats=1 \
    zslot "$size" "$@" statsfile=/dev/stderr statsappend=true \
    --run "$command"
