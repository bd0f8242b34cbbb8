# guest.sh - what the cases use in the guest; for busybox's shell, sourced by init.sh
#
# What goes to the host, a line each: "say TEXT" is printed there, "figure NAME NUMBER" kept for
# the case, "mark NAME" answered when the host has done its part, "pass" and "fail REASON" are the
# end.
# shellcheck shell=dash
#
# SPDX-License-Identifier: BSD-3-Clause

say() {
    echo "say $*" >&3
}

figure() {
    echo "figure $1 $2" >&3
}

mark() {
    echo "mark $1" >&3
    read -r _ <&3
}

turn_off() {
    dmesg | grep -iE 'nbd|swap|error|EXT4|btrfs|md/|raid|oom|killed|blocked for' | tail -n 40
    poweroff -f
    sleep 60
}

pass() {
    echo pass >&3
    turn_off
}

fail() {
    echo "fail $*" >&3
    turn_off
}

# until_true SECONDS COMMAND...
until_true() {
    local tries=$(($1 * 10))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.1
    done
}

has_size() {
    [ "$(cat "/sys/block/$1/size")" != 0 ]
}

is_connected() {
    [ -e "/sys/block/$1/pid" ]
}

is_not_connected() {
    ! is_connected "$1"
}

# attach NUMBER: /dev/nbdNUMBER to the host's export of that number, as the manual of the plugin
# says it to people
attach() {
    nbd-client -b 4096 "10.0.2.10$1" 10809 "/dev/nbd$1" || fail "nbd-client"
    until_true 10 has_size "nbd$1" || fail "/dev/nbd$1 has no size"
}

detach() {
    nbd-client -d "/dev/nbd$1" || fail "nbd-client -d"
    until_true 10 is_not_connected "nbd$1" || fail "/dev/nbd$1 is still connected"
}

# hold NUMBER OPTION...: the same by zslot-attach
hold() {
    local number=$1
    shift
    zslot-attach "$@" "10.0.2.10$number" "/dev/nbd$number" || fail "zslot-attach $*"
}

let_go() {
    zslot-attach --detach "/dev/nbd$1" || fail "zslot-attach --detach"
    is_not_connected "nbd$1" || fail "/dev/nbd$1 is still connected"
    ! pidof zslot-attach >/dev/null || fail "zslot-attach is still there"
}

# has_said TEXT [NUMBER]: the process that looks after /dev/nbdNUMBER
has_said() {
    dmesg | grep -q "zslot-attach: nbd${2:-0}: $1"
}

# refused TEXT OPTION...: what zslot-attach says of the host's first export, which it does not attach
refused() {
    local why=$1
    shift
    ! zslot-attach "$@" 10.0.2.100 /dev/nbd0 2>/tmp/refused || fail "zslot-attach $* works"
    grep -q -e "$why" /tmp/refused || fail "zslot-attach $*: $(cat /tmp/refused)"
}

# swap_on DEVICE [PRIORITY]
swap_on() {
    mkswap "$1" >/dev/null || fail "mkswap $1"
    # By its path: the shell prefers programs of its own.
    /usr/sbin/swapon -d -p "${2:-1}" "$1" || fail "swapon $1"
}

# press_all ARGUMENT...: as for press, outside the group whose memory is not swapped
press_all() {
    local status=0
    # shellcheck disable=SC2154 # percent is in host.sh
    sh -c 'echo $$ >/sys/fs/cgroup/cgroup.procs && exec press "$@"' press -p "$percent" "$@" || status=$?
    case $status in
    0) ;;
    1) fail "corrupt: pages are not what was written" ;;
    3) fail "a page could not be read back" ;;
    *) fail "press: status $status" ;;
    esac
    for name in pswpout pswpin; do
        figure $name "$(awk -v name=$name '$1 == name { print $2 }' /proc/vmstat)"
    done
}

# check_files ARGUMENT...: as for files check
check_files() {
    local status=0
    echo 3 >/proc/sys/vm/drop_caches
    files check "$@" || status=$?
    [ $status != 1 ] || fail "corrupt: files check $*"
    [ $status = 0 ] || fail "files check $*: status $status"
}

write_files() {
    files write "$@" || fail "files write $*"
}

# no_errors: none that the kernel saw on a device
no_errors() {
    ! dmesg | grep -E 'I/O error|(Read|Write)-error on swap' || fail "the kernel saw I/O errors"
}

# started NUMBER FIELD: requests of that kind, by /sys/block/nbdNUMBER/stat: 1 read, 5 written
requests() {
    awk -v field="$2" '{ print $field }' "/sys/block/nbd$1/stat"
}
