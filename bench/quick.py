# quick.py - the ratios that were promised, against floors with head-room, in three minutes
#
# Owns:    the table of promises.
# Called:  by compare --quick.
# Never:   fails for a figure: a shared machine is no judge. What was measured is kept for people to read.
#
# SPDX-License-Identifier: BSD-3-Clause
import time

import figures
import trials

D1 = {"read": (4096, "random", 100, 1, 1), "write": (4096, "random", 0, 1, 1)}
D16 = {"read": (4096, "random", 100, 16, 1), "write": (4096, "random", 0, 16, 1)}

# what, ours, theirs, of, kind of request, depth, promised; at least, unless AT MOST
PROMISES = [
    ("writes", "plugin", "memory-zstd", figures.iops, "write", D16, 3.5, False),
    ("writes", "plugin-zstd-1", "memory-zstd", figures.iops, "write", D16, 4.5, False),
    ("writes", "plugin-lz4", "null", figures.iops, "write", D16, 0.7, False),
    ("reads", "plugin", "null", figures.iops, "read", D16, 0.85, False),
    ("reads", "zslotd-lz4", "null", figures.iops, "read", D16, 1.4, False),
    ("writes", "zslotd-lz4", "null", figures.iops, "write", D16, 0.95, False),
    ("reads", "zslotd", "null", figures.iops, "read", D16, 1.1, False),
    ("CPU of a read", "zslotd-lz4", "plugin-lz4", figures.cpu, "read", D16, 0.65, True),
    ("CPU of a write", "zslotd-lz4", "plugin-lz4", figures.cpu, "write", D16, 0.65, True),
    ("median of a read, depth 1", "zslotd-lz4-poll", "null", figures.p50, "read", D1, 0.6, True),
    ("median of a write, depth 1", "zslotd-lz4-poll", "null", figures.p50, "write", D1, 0.6, True),
]
HEAD_ROOM = 0.15
SPAN_MIB = 128


def row(what, ours, theirs, values, promised, at_most):
    floor = promised * (1 + HEAD_ROOM if at_most else 1 - HEAD_ROOM)
    middle = figures.median(values)
    low, high = figures.quartiles(values)
    if middle <= promised if at_most else middle >= promised:
        verdict = "reached"
    elif middle <= floor if at_most else middle >= floor:
        verdict = "within head-room"
    else:
        verdict = "**MISSED**"
    return (f"| {what} | {ours} | {theirs} | **{middle:.2f}** ({low:.2f}, {high:.2f}) | "
            f"{'≤' if at_most else '≥'} {promised:g} | {floor:.2f} | {verdict} |")


def measure(bench, peers):
    """By name; for each kind of request those that are compared, next to each other."""
    by_name = {peer.name: peer for peer in peers}
    started = []
    try:
        for name in sorted({name for promise in PROMISES for name in promise[1:3]}):
            if name in by_name:
                by_name[name].start(SPAN_MIB * trials.MIB, bench.directory)
                started.append(name)
                bench.fill(by_name[name], SPAN_MIB)
        for cell in (D16["read"], D16["write"], D1["read"], D1["write"]):
            names = []
            for _, ours, theirs, _, kind, depth, _, _ in PROMISES:
                names += [name for name in (ours, theirs)
                          if depth[kind] == cell and name in started and name not in names]
            wanted = dict(zip(figures.CELL, cell))
            for number in range(bench.rounds):
                for peer in trials.in_turn([by_name[name] for name in names], number):
                    bench.keep({"what": "requests", "peer": peer.name, "round": number, **wanted,
                                **trials.one_request_run(bench, peer, wanted, SPAN_MIB)})
    finally:
        for name in started:
            by_name[name].stop()


def request_rows(records):
    found = figures.Requests(records)
    for what, ours, theirs, of, kind, depth, promised, at_most in PROMISES:
        values = found.ratios(depth[kind], ours, depth[kind], theirs, of)
        if values:
            yield row(what, ours, theirs, values, promised, at_most)


def ram_rows(records):
    # As it was promised: what the pages brought, without the process; the kernel's has none.
    ram = {record["peer"]: record["bytes_per_page"] -
           (0 if record["peer"].startswith("zram") else record["started_bytes"] / record["pages"])
           for record in records if record["what"] == "density" and record["moment"] == "filled"}
    theirs = next((name for name in ("zram-lz4", "zram-lzo-rle") if name in ram), None)
    for ours, promised in (("plugin", 0.70), ("plugin-zstd-1", 0.82)):
        if theirs and ours in ram:
            yield row("RAM of a page, all in", ours, theirs, [ram[ours] / ram[theirs]], promised, True)


def eviction_rows(records):
    for record in records:
        if record["what"] == "eviction" and record["moment"] == "filled":
            yield row("written / evicted, bytes", record["peer"], "its objects",
                      [record["bd_written_size"] / record["bd_evicted_size"]], 1.08, True)


def run(bench, peers, records, write):
    began = time.monotonic()
    bench.made_up = {"compressible": 67}  # what the ratios to nbdkit's plugins were promised for
    measure(bench, peers)
    bench.made_up = {}
    wanted = ("plugin", "plugin-zstd-1", "zram-lz4")
    trials.density(bench, [peer for peer in peers if peer.name in wanted], SPAN_MIB, 0)
    trials.eviction(bench, [peer for peer in peers if peer.name in ("plugin", "zslotd")], SPAN_MIB, 0)

    write("| | | against | ratio: median (quartiles) | promised | with head-room | |")
    write("|---|---|---|---|---|---|---|")
    for line in [*request_rows(records), *ram_rows(records), *eviction_rows(records)]:
        write(line)
    write("")
    write(f"{bench.rounds} rounds of {bench.seconds:g} s, 4 KiB random, one connection, a Unix socket, depth 16 where "
          f"none is said; of a page 67 % are zeroes, and 33 % random. RAM and eviction with the corpus' pages. {time.monotonic() - began:.0f} s in all.")
