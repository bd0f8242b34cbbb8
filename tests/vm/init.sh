#!/bin/busybox sh
# init.sh - the guest's first process: mounts, loads modules, runs the case, turns off
#
# File descriptor 3 is the line to the host (the second serial port): guest.sh says what goes over
# it. What is printed goes to the console, which the host shows when a case fails.
# shellcheck shell=dash
#
# SPDX-License-Identifier: BSD-3-Clause

export PATH=/usr/sbin:/sbin:/usr/bin:/bin

if [ "${1:-}" != safe ]; then
    /bin/busybox mkdir -p /proc /sys /dev /mnt /run /tmp /var/lib/btrfs
    /bin/busybox mount -t proc proc /proc
    /bin/busybox mount -t sysfs sys /sys
    /bin/busybox mount -t devtmpfs dev /dev
    /bin/busybox --install -s /bin
    # All but the program under pressure keeps its memory in RAM: a broken swap device must not take
    # the shell that reports it. What was charged before a process moves stays where it was: exec.
    cgroups=/sys/fs/cgroup
    mount -t cgroup2 cgroup2 $cgroups
    echo +memory >$cgroups/cgroup.subtree_control
    mkdir $cgroups/safe
    echo 0 >$cgroups/safe/memory.swap.max
    echo $$ >$cgroups/safe/cgroup.procs
    exec /bin/busybox sh /init safe
fi

stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1 </dev/null

modules=
# shellcheck source=/dev/null # the case's guest(), which host.sh has put there
. /etc/case.sh
# shellcheck source=tests/vm/guest.sh
. /lib/guest.sh

say "Linux $(uname -r), $(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MiB usable"
for module in virtio_pci virtio_net nbd $modules; do
    modprobe "$module" || fail "modprobe $module"
done
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0 || fail "no network"
# What the network needs to take answers, when all else is taken.
echo 8192 >/proc/sys/vm/min_free_kbytes
echo 0 >/proc/sys/vm/watermark_boost_factor

guest
pass
