# peers.py - the servers that are compared: how each is started, and what it costs
#
# Owns:    the processes, devices and files of the peers that were started.
# Called:  by compare and trials.py, in one thread.
# Never:   touches a zram device that is there; it has the kernel make others, and takes these away.
#
# A peer that is not installed, or not permitted, says so in unusable().
#
# SPDX-License-Identifier: BSD-3-Clause
import glob
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import time

PAGE = 4096
ZRAM_SLOT = 16  # bytes of the kernel's table for each page of the device
TICK = os.sysconf("SC_CLK_TCK")
PATHS = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


class Broken(Exception):
    """The comparison itself does not work; not that a figure is bad."""


def first_line(*command):
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except OSError:
        return None
    return ((said.stdout or said.stderr).strip().splitlines() or [None])[0]


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


class Peer:
    """A server of one export, or a device. SIZE is of the export, in bytes."""

    stores = True  # whether what is written can be read again
    compresses = True
    ours = False

    def __init__(self, name):
        self.name = name
        self.target = None

    def unusable(self):
        return None

    def processor_seconds(self):
        """What it has used so far; None if its work is done by the processes that ask for it."""
        return None


class Server(Peer):
    """An NBD server on a Unix socket, started as a child."""

    def __init__(self, name):
        super().__init__(name)
        self.child = None
        self.pid = None
        self.command = None
        self.file = None

    def start(self, size, directory, extra=()):
        self.target = os.path.join(directory, self.name + ".sock")
        log = os.path.join(directory, self.name + ".log")
        arguments = self.arguments(size, directory) + list(extra)
        self.command = printable(arguments, directory)
        with open(log, "ab") as to:
            self.child = subprocess.Popen(arguments, stdout=to, stderr=to, stdin=subprocess.DEVNULL)
        self.pid = self.child.pid
        until = time.monotonic() + 60
        while not accepts(self.target):
            if self.child.poll() or time.monotonic() > until:
                raise Broken(f"{self.name} does not start: {read(log)[-500:]}")
            time.sleep(0.002)

    def stop(self):
        if self.child:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
            self.child = None
        for path in (self.target, self.file):
            if path and os.path.exists(path):
                os.unlink(path)

    def processor_seconds(self):
        fields = read(f"/proc/{self.pid}/stat").rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / TICK  # its children's too

    def ram_bytes(self):
        """RAM of the process but for code, and of its file on a tmpfs."""
        status = read(f"/proc/{self.pid}/status")
        used = sum(int(kib) for kib in re.findall(r"Rss(?:Anon|Shmem):\s+(\d+) kB", status)) * 1024
        return used + (os.stat(self.file).st_blocks * 512 if self.file else 0)

    def make_file(self, size, directory):
        self.file = os.path.join(directory, self.name + ".img")
        with open(self.file, "wb") as file:
            file.truncate(size)
        return self.file


class Nbdkit(Server):
    program = os.environ.get("NBDKIT", "nbdkit")

    def __init__(self, name, *words, stores=True, compresses=False, on_file=False):
        super().__init__(name)
        self.words = words
        self.stores = stores
        self.compresses = compresses
        self.on_file = on_file

    def unusable(self):
        return None if shutil.which(self.program, path=PATHS) else "nbdkit is not installed"

    def arguments(self, size, directory):
        what = self.make_file(size, directory) if self.on_file else str(size)
        return [self.program, "-f", "-U", self.target, self.words[0], what, *self.words[1:]]

    @staticmethod
    def version():
        return first_line(Nbdkit.program, "--version")


class Plugin(Nbdkit):
    ours = True
    path = os.environ.get("ZSLOT_PLUGIN", "")

    def __init__(self, name, *words):
        super().__init__(name, self.path, *words, compresses=True)

    def unusable(self):
        return super().unusable() or (
            None if os.path.exists(self.path) else "ZSLOT_PLUGIN does not name the plugin")

    def stats_socket(self, directory):
        path = os.path.join(directory, self.name + ".control")
        return path, ["control=" + path]


class Zslotd(Server):
    ours = True
    path = os.environ.get("ZSLOTD", "")

    def __init__(self, name, *words):
        super().__init__(name)
        self.words = words

    def unusable(self):
        return None if os.path.exists(self.path) else "ZSLOTD does not name zslotd"

    def arguments(self, size, directory):
        return [self.path, "--foreground", "--listen=unix:" + self.target, f"--size={size}",
                *self.words]

    def stats_socket(self, directory):
        path = os.path.join(directory, self.name + ".control")
        return path, ["--control=" + path]


class QemuNbd(Server):
    compresses = False

    def unusable(self):
        return None if shutil.which("qemu-nbd") else "qemu-nbd is not installed"

    def arguments(self, size, directory):
        return ["qemu-nbd", "--persistent", "--shared=16", "--format=raw", "--cache=writeback",
                "--discard=unmap", "--socket=" + self.target, self.make_file(size, directory)]

    @staticmethod
    def version():
        return first_line("qemu-nbd", "--version")


class NbdServer(Server):
    """It has a process for each connection, whose time is its own when they have ended."""

    compresses = False

    def unusable(self):
        return None if shutil.which("nbd-server", path=PATHS) else "nbd-server is not installed"

    def arguments(self, size, directory):
        config = os.path.join(directory, self.name + ".conf")
        with open(config, "w", encoding="ascii") as file:
            # It listens on TCP as well, whatever it is told.
            file.write(f"[generic]\nunixsock = {self.target}\nport = {free_port()}\n"
                       f"listenaddr = 127.0.0.1\n[all]\nexportname = {self.make_file(size, directory)}\n"
                       "trim = true\n")
        self.pid_file = os.path.join(directory, self.name + ".pid")
        return ["nbd-server", "-C", config, "-p", self.pid_file]

    export = "all"

    def start(self, size, directory, extra=()):
        super().start(size, directory, extra)
        self.child.wait()  # it always goes into the background
        self.child = None
        self.pid = int(read(self.pid_file))

    def stop(self):
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            while os.path.exists(f"/proc/{self.pid}"):
                time.sleep(0.01)
            self.pid = None
        super().stop()

    @staticmethod
    def version():
        said = subprocess.run(["nbd-server", "-V"], capture_output=True, text=True).stdout
        return (said.strip().splitlines() or [None])[0]


class Zram(Peer):
    """A device of its own, made by hot_add."""

    control = "/sys/class/zram-control"

    def __init__(self, algorithm):
        super().__init__("zram-" + algorithm)
        self.algorithm = algorithm
        self.number = None
        self.made = False
        self.size = 0

    def unusable(self):
        if os.geteuid() != 0:
            return "zram can only be set up by root"
        if not os.path.exists(self.control + "/hot_add"):
            return "there is no zram (modprobe zram)"
        try:
            self.start(16 * PAGE, None)
            with open(self.target, "rb"):
                pass
        except OSError as problem:
            return f"a zram device cannot be set up: {problem}"
        finally:
            self.stop()
        return None

    def put(self, attribute, text):
        with open(f"/sys/block/zram{self.number}/{attribute}", "w", encoding="ascii") as file:
            file.write(text)

    def start(self, size, directory, extra=()):
        self.number = int(read(self.control + "/hot_add"))
        self.target = f"/dev/zram{self.number}"
        self.made = not os.path.exists(self.target)
        if self.made:  # a /dev that the kernel does not fill, as in a container
            major, minor = read(f"/sys/block/zram{self.number}/dev").strip().split(":")
            os.mknod(self.target, 0o600 | stat.S_IFBLK, os.makedev(int(major), int(minor)))
        self.put("comp_algorithm", self.algorithm)
        self.put("disksize", str(size))
        self.size = size
        self.command = f"echo {self.algorithm} >comp_algorithm; echo {size} >disksize"

    def stop(self):
        if self.number is None:
            return
        if self.made and os.path.exists(self.target):
            os.unlink(self.target)
        for _ in range(50):  # whoever looks at new devices may have it open for a moment
            try:
                self.put("reset", "1")
                with open(self.control + "/hot_remove", "w", encoding="ascii") as file:
                    file.write(str(self.number))
                break
            except OSError:
                time.sleep(0.1)
        self.number = None

    def ram_bytes(self):
        return int(read(f"/sys/block/zram{self.number}/mm_stat").split()[2]) + self.size // PAGE * ZRAM_SLOT

    def compact(self):
        self.put("compact", "1")

    @staticmethod
    def algorithms():
        """What the kernel's devices know; [] without one."""
        for path in sorted(glob.glob("/sys/block/zram*/comp_algorithm")):
            return read(path).replace("[", "").replace("]", "").split()
        return []

    @staticmethod
    def version():
        return "Linux " + os.uname().release.split("-")[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(path):
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def printable(arguments, directory):
    """A command as people type it, without this machine's paths."""
    said = []
    for argument in arguments:
        argument = argument.replace(directory, "DIR")
        if argument == Plugin.path:
            argument = "zslot"
        elif argument == Zslotd.path:
            argument = "zslotd"
        elif argument == Nbdkit.program:
            argument = "nbdkit"
        said.append(argument)
    return shlex.join(said)


def everybody():
    """All that there are, ours first."""
    return [
        Plugin("plugin"),
        Plugin("plugin-zstd-1", "compressor=zstd:-1"),
        Plugin("plugin-lz4", "compressor=lz4"),
        Zslotd("zslotd"),
        Zslotd("zslotd-lz4", "--compressor=lz4"),
        Zslotd("zslotd-lz4-poll", "--compressor=lz4", "--poll=50"),
        Nbdkit("null", "null", stores=False),
        Nbdkit("memory", "memory"),
        Nbdkit("memory-malloc", "memory", "allocator=malloc"),
        Nbdkit("memory-zstd", "memory", "allocator=zstd", compresses=True),
        Nbdkit("file", "file", on_file=True),
        NbdServer("nbd-server"),
        QemuNbd("qemu-nbd"),
        *[Zram(algorithm) for algorithm in Zram.algorithms()],
    ]
