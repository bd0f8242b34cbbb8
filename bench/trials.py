# trials.py - what is measured of the peers; every measurement is one record, a dict
#
# Owns:    the order of measurements.
# Called:  by compare and quick.py, in one thread.
# Never:   says what a figure means; report.py does.
#
# Those that are compared are measured next to each other, in rounds, every other round the other way
# round: on a machine shared with others absolute figures drift, ratios within a round hold.
#
# SPDX-License-Identifier: BSD-3-Clause
import http.client
import itertools
import json
import os
import socket
import subprocess
import time

from peers import PAGE, Broken, Zram, read

MIB = 1 << 20
LOAD = os.environ.get("BENCH_LOAD", "bench/bench-load")


class Bench:
    """What all trials share. SAY takes a line for who waits, KEEP a record."""

    def __init__(self, corpus, directory, rounds, seconds, say, keep):
        self.corpus = corpus
        self.made_up = {}  # options for bench-load in place of the corpus' pages
        self.directory = directory
        self.rounds = rounds
        self.seconds = seconds
        self.say = say
        self.keep = keep

    def load(self, peer, **options):
        """One run of bench-load: its record, and the server's processor time of each request."""
        words = [LOAD, f"--export={getattr(peer, 'export', '')}"]
        options = {**options, **self.made_up}
        words += ["--" + key if value is True else f"--{key}={value}"
                  for key, value in options.items() if value is not False]
        before = peer.processor_seconds()
        said = subprocess.run(words + [self.corpus, peer.target], capture_output=True, text=True)
        if said.returncode != 0:
            raise Broken(f"{' '.join(words)} on {peer.name}: {said.stderr.strip()}")
        record = json.loads(said.stdout)
        record["reads_us"], record["writes_us"] = record.pop("reads"), record.pop("writes")
        if before is None:
            used = record["client_system_us"]
        else:
            settle(peer)
            used = (peer.processor_seconds() - before) * 1e6
        record["cpu_us"] = used / max(record["requests"], 1)
        return record

    def fill(self, peer, mib, version=0):
        return self.load(peer, once=True, span=mib, block=65536, depth=4, version=version)

    def overwrite(self, peer, mib, version):
        return self.load(peer, once=True, span=mib, shuffled=True, depth=16, version=version)


def settle(peer):
    """Until a connection's process, where there are such, has ended and its time is counted."""
    if hasattr(peer, "export"):
        time.sleep(0.03)


def in_turn(peers, number):
    return list(reversed(peers)) if number % 2 else list(peers)


# -- Requests. --

def cells(blocks, patterns, mixes, depths, connections):
    """All of one connection; several at 4 KiB, random, depths 1 and 16 only."""
    for block, pattern, mix, depth in itertools.product(blocks, patterns, mixes, depths):
        yield {"block": block, "pattern": pattern, "reads": mix, "depth": depth, "connections": 1}
    for count, mix, depth in itertools.product(connections, mixes, depths):
        if count > 1 and depth in (1, 16):
            yield {"block": 4096, "pattern": "random", "reads": mix, "depth": depth,
                   "connections": count}


def may(peer, cell):
    return not isinstance(peer, Zram) or cell["connections"] == 1


def one_request_run(bench, peer, cell, span_mib):
    return bench.load(peer, span=span_mib, block=cell["block"], depth=cell["depth"],
                      connections=cell["connections"], reads=cell["reads"], seconds=bench.seconds,
                      sequential=cell["pattern"] == "sequential")


def requests(bench, peers, wanted, span_mib):
    wanted = list(wanted)
    runs = sum(may(peer, cell) for cell in wanted for peer in peers) * bench.rounds
    bench.say(f"requests: {runs} runs, some {runs * (bench.seconds + 0.08) / 60:.0f} minutes")
    started = []
    try:
        for peer in peers:
            peer.start(span_mib * MIB, bench.directory)
            started.append(peer)
            bench.fill(peer, span_mib)
        for cell in wanted:
            for number in range(bench.rounds):
                for peer in in_turn([peer for peer in peers if may(peer, cell)], number):
                    record = one_request_run(bench, peer, cell, span_mib)
                    bench.keep({"what": "requests", "peer": peer.name, "round": number, **cell,
                                **record, "command": peer.command, "span_mib": span_mib})
    finally:
        for peer in started:
            peer.stop()


# -- RAM. --

def density(bench, peers, span_mib, overwrites):
    """RAM per page: filled from the corpus in order, then every page overwritten at random."""
    bench.say(f"density: {span_mib} MiB to each of {len(peers)}, and {overwrites} overwrites of it")
    for peer in peers:
        if not peer.stores:
            continue
        peer.start(span_mib * MIB, bench.directory)
        try:
            before = peer.ram_bytes()
            pages = span_mib * MIB // PAGE

            def note(moment):
                bench.keep({"what": "density", "peer": peer.name, "moment": moment, "round": 0,
                            "pages": pages, "started_bytes": before, "command": peer.command,
                            "bytes_per_page": peer.ram_bytes() / pages})

            bench.fill(peer, span_mib)
            note("filled")
            for version in range(1, overwrites + 1):
                bench.overwrite(peer, span_mib, version)
            note("overwritten")
            if isinstance(peer, Zram):
                peer.compact()
                note("compacted")
        finally:
            peer.stop()


# -- What leaves RAM. --

class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def statistics(path):
    connection = UnixConnection(path)
    connection.request("GET", "/v1/stats")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def rest(path):
    """The statistics when nothing has left for a quarter of a second."""
    before = statistics(path)
    while True:
        time.sleep(0.25)
        now = statistics(path)
        if now["bd_written_size"] == before["bd_written_size"]:
            return now
        before = now


def eviction(bench, peers, span_mib, overwrites):
    """Bytes written to the backing store for what leaves: of a filling, and of overwriting."""
    peers = [peer for peer in peers if peer.ours and hasattr(peer, "stats_socket")]
    limit_mib = max(span_mib // 10, 24)
    bench.say(f"eviction: {span_mib} MiB to each of {len(peers)} under {limit_mib} MiB")
    for peer in peers:
        control, words = peer.stats_socket(bench.directory)
        file = os.path.join(bench.directory, peer.name + ".backing")
        dashes = words[0].startswith("--") and "--" or ""
        words = words + [f"{dashes}memory-limit={limit_mib}M", f"{dashes}backing={file}",
                         f"{dashes}backing-size={span_mib}M"]
        peer.start(span_mib * MIB, bench.directory, words)
        try:
            if not os.path.exists(control):
                bench.say(f"eviction: {peer.name} has no control endpoint")
                continue
            before = {"bd_writes": 0, "bd_evicted_size": 0, "bd_written_size": 0}
            for moment, times in (("filled", 0), ("overwritten", overwrites)):
                if moment == "filled":
                    bench.fill(peer, span_mib)
                for version in range(1, times + 1):
                    bench.overwrite(peer, span_mib, version)
                now = rest(control)
                change = {key: now[key] - before[key] for key in before}
                before = {key: now[key] for key in before}
                if change["bd_writes"]:
                    bench.keep({"what": "eviction", "peer": peer.name, "moment": moment, "round": 0,
                                "command": peer.command, **change})
        finally:
            peer.stop()
            if os.path.exists(file):
                os.unlink(file)


# -- Growth. --

def available_bytes():
    return int(read("/proc/meminfo").split("MemAvailable:")[1].split()[0]) * 1024


def timed_runs(bench, peer, span_mib):
    found = {}
    for name, reads, depth in (("read1", 100, 1), ("read16", 100, 16), ("write16", 0, 16)):
        found[name] = bench.load(peer, span=span_mib, reads=reads, depth=depth, seconds=bench.seconds)
    return found


def grow(bench, peer, what, size, pages):
    span_mib = pages * PAGE / MIB
    begin = time.monotonic()
    peer.start(size, bench.directory)
    try:
        start_s = time.monotonic() - begin
        started = peer.ram_bytes()
        filled = bench.fill(peer, span_mib)
        ram = peer.ram_bytes()
        record = {"what": what, "peer": peer.name, "size": size, "pages": pages, "start_s": start_s,
                  "started_bytes": started, "ram_bytes": ram, "command": peer.command, "round": 0,
                  "bytes_per_page": ram / pages,
                  "fill_pages_s": pages / filled["seconds"]}
        for name, run in timed_runs(bench, peer, span_mib).items():
            record[name] = {"iops": run["iops"], **run["reads_us" if "read" in name else "writes_us"]}
        bench.keep(record)
    finally:
        peer.stop()


def growth_size(bench, peers, sizes, pages=10000):
    bench.say(f"growth of the size: {len(sizes)} sizes, {pages} pages stored, {len(peers)} peers")
    for size in sizes:
        for peer in peers:
            table = size // PAGE * ZRAM_BYTES if isinstance(peer, Zram) else 0
            if table > available_bytes() * 0.6:
                bench.say(f"growth: {peer.name} is left out at {size >> 30} GiB: its table would not fit")
                continue
            grow(bench, peer, "size", size, pages)


def growth_pages(bench, peers, counts, size=64 << 30):
    bench.say(f"growth of what is stored: {counts} pages, {len(peers)} peers")
    for pages in counts:
        for peer in peers:
            if pages * (1900 if peer.compresses else PAGE) > available_bytes() * 0.9:
                bench.say(f"growth: {peer.name} is left out at {pages} pages: RAM is too small")
                continue
            grow(bench, peer, "stored", size, pages)


ZRAM_BYTES = 24  # at most, of a kernel that tracks when pages were accessed
