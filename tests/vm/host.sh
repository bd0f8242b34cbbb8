# host.sh - what the cases share on the host; sourced by them, not run
#
# A case is a script: what it defines as guest() runs in the guest, whose RAM is memory_mib, with
# the kernel's modules, the programs and the libraries that it names; on_mark() is what the host does when the
# guest has come to a mark. serve (tests/functions.sh) starts a server, boot runs the guest to its
# end. The first server that was started is the guest's 10.0.2.100, the second 10.0.2.101, both at
# port 10809, and there is nothing else in its network.
#
# Files are put into the guest's /etc. What serve_zslot starts has server_options too.
#
# guest() may use touched_mib and passes of the case, and percent, of a random pass; the rest of its shell is not there.
#
#   face         what serves, nbdkit or zslotd: ZSLOT_VM_FACE, or what the case says
#   verdict      "pass", or "fail" and a reason
#   figures      what the guest told by figure NAME NUMBER
# shellcheck shell=bash
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/functions.sh
. "${srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

vm=$srcdir/tests/vm
# By make check-vm, or by hand after make in the source tree.
builddir=${builddir:-$srcdir}
face=${ZSLOT_VM_FACE:-${face:-nbdkit}}
memory_mib=128
touched_mib=
passes=
modules=
programs=
libraries=
files=
verdict=
server_options=()
declare -A figures
image=$directory/image

[ "$(uname -m)" = x86_64 ] || skip "the guest is an x86-64 one"
need qemu-system-x86_64 busybox cpio nbd-client swapon modprobe depmod socat curl jq
! ldd "$(command -v busybox)" >/dev/null 2>&1 || skip "busybox is not static: install busybox-static"

# long LONG SHORT: the first for make check-vm-all, the second for make check-vm
long() {
    if [ -n "${ZSLOT_VM_LONG:-}" ]; then
        echo "$1"
    else
        echo "$2"
    fi
}

# Thousands of pages that are swapped in and out one by one take minutes; all are checked in order at the end.
percent=$(long 40 20)

show_console() {
    cat qemu.log
    echo "---- the guest's console:"
    tail -n 200 console | tr -d '\r'
}

# A guest that is there at the end of a case is one that hangs, or the case has failed.
stop_guest() {
    if [ -n "$guest_pid" ]; then
        show_console
        kill "$guest_pid" 2>/dev/null || true
    fi
    stop_all
}
guest_pid=
trap stop_guest EXIT

# serve_zslot SIZE KEY=VALUE...: one of ours, by the face
serve_zslot() {
    local number=${#servers[@]}
    case $face in
    nbdkit) serve "${server_options[@]}" -D zslot.stats=1 -D zslot.check=1 zslot "$@" ;;
    zslotd) NBDKIT=$builddir/tests/run-zslotd serve "${server_options[@]}" zslot "$@" \
        control="$directory/control$number" ;;
    *) fail "ZSLOT_VM_FACE=$face: neither nbdkit nor zslotd" ;;
    esac
    mv log "log$number"
}

# end_zslot NUMBER: it must end well, with its tables in order; stat_at_end is then about it
end_zslot() {
    local status=0
    [ "$face" = nbdkit ] || curl -sS --unix-socket "control$1" http://localhost/v1/stats >stats.json
    kill "${servers[$1]}"
    wait "${servers[$1]}" || status=$?
    mv "log$1" log
    [ $status = 0 ] || fail "server $1 ended with status $status: $(tail -n 30 log)"
    if [ "$face" = nbdkit ]; then
        grep -q 'zslot: check: ok' log || fail "the tables of server $1 do not agree"
    else
        jq -r 'to_entries[] | select(.value | type == "number") | "zslot: \(.key)=\(.value)"' stats.json >>log
    fi
    grep '^zslot: ' log
}

# serve_again NUMBER COMMAND ARGUMENT...: serve or serve_zslot, at the socket of that one, which has ended
serve_again() {
    local number=$1 all=("${servers[@]}")
    shift
    rm -f "$directory/socket$number" "$directory/socket$number.pid"
    servers=("${servers[@]:0:number}")
    "$@"
    all[number]=$pid
    servers=("${all[@]}")
}

# kill_server NUMBER: as the OOM killer does
kill_server() {
    kill -KILL "${servers[$1]}"
    # The shell would say that it was killed.
    wait "${servers[$1]}" 2>/dev/null || true
}

on_mark() {
    fail "a mark that the case does not know: $1"
}

# put_program PROGRAM: into the image, with its libraries
put_program() {
    local path
    path=$(command -v "$1") || fail "there is no $1"
    cp -L "$path" "$image/usr/sbin/"
    put_libraries "$path"
}

# put_libraries FILE: those that it needs
put_libraries() {
    local path=$1 library
    {
        ldd "$path" | grep -o '/[^ ]*'
        # Which the C library loads by itself when a thread is cancelled.
        ldd "$path" | sed -n 's|^.* => \(.*\)/libc\.so\.6 .*|\1/libgcc_s.so.1|p'
    } | while read -r library; do
        mkdir -p "$image/$(dirname "$library")"
        cp -L "$library" "$image/$library"
    done
}

# put_library NAME: which a program loads by itself
put_library() {
    local path
    # To its end: ldconfig would be killed for what nobody reads.
    path=$(ldconfig -p | awk -v name="$1" '$1 == name && /x86-64/ && !found++ { print $NF }')
    [ -n "$path" ] || fail "there is no $1"
    mkdir -p "$image/$(dirname "$path")"
    cp -L "$path" "$image/$path"
    put_libraries "$path"
}

# put_module MODULE: into the image, with those that it needs
put_module() {
    local file
    modprobe -d "$kernel" -S "$release" --show-depends "$1" | awk '$1 == "insmod" { print $2 }' |
        while read -r file; do
            file=${file#"$kernel"}
            mkdir -p "$image/$(dirname "$file")"
            cp "$kernel/$file" "$image/$file"
        done
}

# make_image: the kernel, and an initramfs of no more than the case needs, since it stays in RAM
make_image() {
    local program module one
    kernel=$(bash "$vm/kernel.sh" "${ZSLOT_VM_CACHE:-$builddir/tests/vm/cache}") ||
        skip "there is no kernel for the guest"
    release=$(ls "$kernel/lib/modules")
    mkdir -p "$image"/{bin,etc,lib/modules/"$release",usr/sbin}
    ln -s bin "$image/sbin"
    cp "$(command -v busybox)" "$image/bin/busybox"
    PATH=$builddir/tests/vm:$builddir/client:$PATH
    for program in nbd-client swapon press files $programs; do
        put_program "$program"
    done
    for one in $libraries; do
        put_library "$one"
    done
    for one in $files; do
        cp -r "$one" "$image/etc/"
    done
    cp "$kernel/lib/modules/$release"/modules.{alias,builtin,dep,softdep} \
        "$image/lib/modules/$release/"
    for module in virtio_pci virtio_net nbd $modules; do
        put_module "$module"
    done
    install -m 755 "$vm/init.sh" "$image/init"
    cp "$vm/guest.sh" "$image/lib/guest.sh"
    {
        printf '%s=%q\n' modules "$modules" touched_mib "$touched_mib" passes "$passes" percent "$percent"
        declare -f guest
    } >"$image/etc/case.sh"
    (cd "$image" && find . | cpio -o -H newc -R 0:0 --quiet) >initrd
    rm -rf "$image"
}

# boot: the guest, from its start to its end
boot() {
    local line from to network=user,id=net,restrict=on i
    make_image
    for ((i = 0; i < ${#servers[@]}; i++)); do
        # What socat says to standard error would go to the guest.
        network+=",guestfwd=tcp:10.0.2.10$i:10809-cmd:socat -lf$directory/relay.log -b 262144 - UNIX-CONNECT:$directory/socket$i"
    done
    mkfifo to
    exec {to}<>to
    # One CPU: the host may have no more, and then two would take three times as long. No KVM: not
    # everywhere, and in a virtual machine often slower than this.
    exec {from}< <(exec qemu-system-x86_64 -accel tcg,tb-size=128 -cpu max -M pc -m "$memory_mib" \
        -nodefaults -no-user-config -no-reboot -display none -monitor none \
        -kernel "$kernel/boot/vmlinuz-$release" -initrd initrd \
        -append "console=ttyS0 loglevel=5 rootfstype=ramfs panic=-1 mitigations=off nowatchdog \
no5lvl rcupdate.rcu_cpu_stall_suppress=1" \
        -chardev "file,id=console,path=$directory/console" -serial chardev:console \
        -chardev stdio,id=line,signal=off -serial chardev:line \
        -netdev "$network" -device virtio-net-pci,netdev=net,romfile= <to 2>qemu.log)
    guest_pid=$!
    while read -r -u "$from" line; do
        case $line in
        say\ *) echo "$SECONDS s: ${line#say }" ;;
        figure\ *)
            read -r _ one two <<<"$line"
            # shellcheck disable=SC2034 # the cases read it
            figures[$one]=$two
            ;;
        mark\ *)
            echo "$SECONDS s: $line"
            on_mark "${line#mark }"
            # shellcheck disable=SC2317 # an on_mark() that does not fail
            echo go >&"$to"
            ;;
        pass | fail\ *) verdict=$line ;;
        *) echo "from the guest: $line" ;;
        esac
    done
    exec {from}<&- {to}>&-
    guest_pid=
    verdict=${verdict:-fail the guest ended before its time}
    echo "$SECONDS s: the guest's verdict: $verdict"
}

must_pass() {
    [ "$verdict" != pass ] || return 0
    show_console
    fail "$verdict"
}

# between NAME NUMBER LEAST MOST
between() {
    echo "$1: $2, expected $3 to $4"
    if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
        fail "$1 is $2, not $3 to $4"
    fi
}
