# report.py - REPORT.md from the records of one or several runs
#
# Owns:    the words around the figures.
# Called:  by compare.
# Never:   measures; names the machine or a path on it.
#
# SPDX-License-Identifier: BSD-3-Clause
import json
import os

import figures
import plots

WINS = 1.05  # a peer that is better by less is no better, on a machine shared with others
BUSY = 1.5  # of the load for each processor: what the parts before leave behind stays below it
MIXES = {100: "read", 0: "write", 70: "70 % read"}


def key_of(record):
    """Of two records with the same, the later one counts."""
    return tuple(record.get(key) for key in
                 ("what", "peer", "moment", "size", "pages", "round", *figures.CELL))


def load(path):
    """Records, the machine's included, with what was measured again left out."""
    newest = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            key = (record["what"], len(newest)) if record["what"] == "machine" else key_of(record)
            newest.pop(key, None)
            newest[key] = record
    return list(newest.values())


def machine_lines(machine):
    yield (f"- Machine: {machine['model']}, {machine['processors']} processors"
           f"{', a virtual machine, its processors shared' if machine['virtual'] else ''}, "
           f"{machine['memory_gib']} GiB, {machine['system']}. Load when it began: {machine['load']:.2f}.")
    yield "- Versions: " + ", ".join(f"{name} {said.replace(name + ' ', '')}"
                                     for name, said in machine["versions"].items()) + "."


def short(count):
    return f"{count / 1e3:.1f} k" if count >= 1e3 else f"{count:.0f}"


def is_ours(peer):
    return peer.startswith(("plugin", "zslotd"))


# -- Requests. --

def groups(found):
    """{(block, pattern, reads, connections): [depth]}, in the order of measuring."""
    order = {}
    for block, pattern, reads, depth, connections in found.by_cell:
        depths = order.setdefault((block, pattern, reads, connections), [])
        if depth not in depths:
            depths.append(depth)
    return order


def one_entry(found, cell, peer, best_ours):
    values = found.values(cell, peer, figures.iops)
    if not values:
        return "| | | "
    middle = figures.median(values)
    mark = " ▲" if not is_ours(peer) and best_ours and middle > best_ours * WINS else ""
    return (f"| {short(middle)} ±{figures.spread_percent(values):.0f} %{mark} "
            f"| {found.median(cell, peer, figures.p50):.0f} / {found.median(cell, peer, figures.p99):.0f} "
            f"| {found.median(cell, peer, figures.cpu):.1f} ")


def best_of_ours(found, cell):
    ours = [found.median(cell, peer, figures.iops) for peer in found.peers if is_ours(peer)]
    return max((value for value in ours if value), default=None)


def request_tables(found, write):
    for (block, pattern, reads, connections), depths in groups(found).items():
        many = f", {connections} connections" if connections > 1 else ""
        write(f"### {block // 1024} KiB, {pattern}, {MIXES.get(reads, f'{reads} % read')}{many}\n")
        write("| | " + " | ".join(f"depth {depth}: a second | p50 / p99, µs | CPU, µs" for depth in depths) + " |")
        write("|---" * (1 + 3 * len(depths)) + "|")
        for peer in found.peers:
            row = "".join(one_entry(found, cell, peer, best_of_ours(found, cell)) for cell in
                          ((block, pattern, reads, depth, connections) for depth in depths))
            if row.strip("| "):
                write(f"| {peer} {row}|")
        write("")


def wins(found):
    """{peer: [(by how much, cell)]} where a peer does more requests a second than the best of ours."""
    found_wins = {}
    for cell in found.by_cell:
        ours = best_of_ours(found, cell)
        for peer in found.peers:
            theirs = found.median(cell, peer, figures.iops)
            if ours and theirs and not is_ours(peer) and theirs > ours * WINS:
                found_wins.setdefault(peer, []).append((theirs / ours, cell))
    return found_wins


def say_cell(cell):
    block, pattern, reads, depth, connections = cell
    many = f", {connections} connections" if connections > 1 else ""
    return f"{block // 1024} KiB {pattern} {MIXES.get(reads, f'{reads} % read')}, depth {depth}{many}"


def wins_table(records, found, write):
    write("## Where a peer wins\n")
    write(f"By more than {100 * WINS - 100:.0f} % against the best of ours, whichever that is in each case; in the tables "
          "below it is marked ▲. `null` keeps nothing, `memory`, `file`, `nbd-server` and `qemu-nbd` do not compress, and "
          "zram is no server: nobody else's memory can be reached by it.\n")
    write("| peer | wins | of | most | where that is |")
    write("|---|---|---|---|---|")
    cells = {peer: sum(peer in runs for runs in found.by_cell.values()) for peer in found.peers}
    for peer, won in sorted(wins(found).items(), key=lambda item: -len(item[1])):
        most, cell = max(won)
        write(f"| {peer} | {len(won)} | {cells[peer]} | {most:.2f} × | {say_cell(cell)} |")
    ram = {record["peer"]: record["bytes_per_page"] for record in records
           if record["what"] == "density" and record["moment"] == "filled"}
    ours = min((value for peer, value in ram.items() if is_ours(peer)), default=None)
    for peer, value in ram.items():
        if ours and not is_ours(peer) and value < ours / 1.01:
            write(f"| {peer} | RAM | | {ours / value:.2f} × | filled in order, before anything is overwritten |")
    after = {record["peer"]: record["bytes_per_page"] for record in records
             if record["what"] == "density" and record["moment"] == "overwritten"}
    if after.get("zram-lz4", 1e9) < after.get("plugin-lz4", 0) / 1.01:
        write(f"| zram-lz4 | RAM | | {after['plugin-lz4'] / after['zram-lz4']:.2f} × | against plugin-lz4, the same codec, "
              "overwritten |")
    write("")


# -- RAM, what leaves it, growth. --

def density_table(records, write):
    rows = {}
    for record in records:
        if record["what"] == "density":
            rows.setdefault(record["peer"], {})[record["moment"]] = record
    if not rows:
        return
    pages = next(iter(next(iter(rows.values())).values()))["pages"]
    write("## RAM of a page\n")
    write(f"{pages} pages of the corpus, all in: the process but for its code, files on a tmpfs, the kernel's pool and "
          "its table of 16 bytes a page. *Overwritten*: every page twice, in a random order, by other pages of the corpus.\n")
    write("| bytes a page | filled | overwritten | and compacted | empty server, MiB |")
    write("|---|---|---|---|---|")
    for peer, moments in sorted(rows.items(), key=lambda item: item[1].get("overwritten", item[1]["filled"])["bytes_per_page"]):
        said = [f"{moments[moment]['bytes_per_page']:.0f}" if moment in moments else ""
                for moment in ("filled", "overwritten", "compacted")]
        write(f"| {peer} | {' | '.join(said)} | {moments['filled']['started_bytes'] / (1 << 20):.1f} |")
    write("")


def eviction_table(records, write):
    rows = [record for record in records if record["what"] == "eviction"]
    if not rows:
        return
    write("## Bytes written to the backing store for what leaves RAM\n")
    write("zram here has no backing device; where it has, it writes 4096 bytes a page, or what the kernel's newest "
          "versions have compressed. The other peers have none.\n")
    write("| | | pages that left | their objects, bytes each | written, bytes each | written / objects |")
    write("|---|---|---|---|---|---|")
    for row in rows:
        write(f"| {row['peer']} | {row['moment']} | {row['bd_writes']} | {row['bd_evicted_size'] / row['bd_writes']:.0f} "
              f"| {row['bd_written_size'] / row['bd_writes']:.0f} "
              f"| **{row['bd_written_size'] / row['bd_evicted_size']:.3f}** |")
    write("")


def growth_table(records, what, heading, across, say, write):
    rows = sorted((record for record in records if record["what"] == what),
                  key=lambda record: (record[across], record["peer"]))
    if not rows:
        return
    write(f"### {heading}\n")
    write("| | | start, ms | RAM then, MiB | RAM with the pages, MiB | bytes a page | stored, pages a second "
          "| read d1 p50 / p99, µs | read d16 a second | write d16 a second |")
    write("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        write(f"| {say(row[across])} | {row['peer']} | {row['start_s'] * 1e3:.0f} | {row['started_bytes'] / (1 << 20):.1f} "
              f"| {row['ram_bytes'] / (1 << 20):.0f} | {row['bytes_per_page']:.0f} | {short(row['fill_pages_s'])} "
              f"| {row['read1']['p50']:.0f} / {row['read1']['p99']:.0f} | {short(row['read16']['iops'])} "
              f"| {short(row['write16']['iops'])} |")
    write("")


def growth_tables(records, write):
    if not any(record["what"] in ("size", "stored") for record in records):
        return
    write("## Growth\n")
    write("One run each. Sequential writes of 64 KiB, four under way, store the pages; then requests of 4 KiB, at random "
          "among them.\n")
    growth_table(records, "size", "The size of the export, 10 000 pages stored", "size",
                 lambda size: f"{size >> 30} GiB", write)
    growth_table(records, "stored", "What is stored, in an export of 64 GiB", "pages", str, write)


def commands(records, write):
    write("## Commands\n")
    said = {}
    for record in records:
        if record["what"] in ("requests", "density", "eviction") and record.get("command"):
            said.setdefault((record["what"] == "eviction", record["peer"]), record["command"])
    write("    " + "\n    ".join(said.values()) + "\n")
    write("DIR is a directory in `/dev/shm`. Requests are those of `bench/bench-load`, such as\n")
    write("    bench-load --span=256 --block=4096 --depth=16 --connections=1 --reads=100 --seconds=SECONDS CORPUS DIR/zslotd.sock\n"
          "    bench-load --once --span=256 --block=65536 --depth=4 CORPUS DIR/zslotd.sock       # filling\n"
          "    bench-load --once --span=256 --shuffled --depth=16 --version=1 CORPUS DIR/zslotd.sock   # overwriting\n")


def introduction(records, found, write):
    machines = [record for record in records if record["what"] == "machine"]
    took = sum(record["seconds"] for record in records if record["what"] == "took")
    write("# zslot and its peers\n")
    write("Written by `bench/compare` (`make bench-compare`); [README.md](README.md) says how to read it.\n")
    busiest = max(machine["load"] / machine["processors"] for machine in machines)
    if busiest > BUSY:
        write(f"**Preliminary: other programs were using the processors, up to {busiest:.0f} for each. Times are longer and rates "
              "lower than on a quiet machine; bytes are as they are. To be measured again.**\n")
    for line in machine_lines(machines[-1]):
        write(line)
    runs = sum(len(rounds) for peers in found.by_cell.values() for rounds in peers.values())
    rounds = max((len(rounds) for peers in found.by_cell.values() for rounds in peers.values()), default=0)
    seconds = sorted({machine["seconds"] for machine in machines if "requests" in machine.get("only", [])})
    goes = "in one go" if len(machines) == 1 else f"in {len(machines)} goes"
    others = ", ".join(f"{machine['load']:.1f}" for machine in machines[:-1])
    write(f"- Measured {machines[-1]['date']}, on pages of `{machines[-1]['corpus']}`, {goes}: {runs} runs of "
          f"requests, of {' or '.join(f'{value:g}' for value in seconds)} s each, {rounds} rounds, all peers next to each other in "
          "each round. " + (f"Load when the others began: {others}. " if others else "") +
          f"It took {took / 60:.0f} minutes in all.")
    write("- A figure is the median of the rounds; ± is half of the distance between the quartiles. The client is a process of its "
          "own and takes one of the processors, so that with two of them a server has the other one. CPU is the server's, of each "
          "request; of zram, which has none, the client's time in the kernel. Latencies of a mix are those of its reads.\n")


def pictures(names, write):
    for name in names:
        write(f"![{name.removesuffix('.svg')}]({name})\n")
    if not names:
        write("gnuplot is not installed: no pictures.\n")


def write(log, directory):
    records = load(log)
    found = figures.Requests(records)
    names = plots.all_of_them(records, directory)
    with open(os.path.join(directory, "REPORT.md"), "w", encoding="utf-8") as file:
        def line(text):
            print(text, file=file)
        introduction(records, found, line)
        pictures(names, line)
        wins_table(records, found, line)
        density_table(records, line)
        eviction_table(records, line)
        growth_tables(records, line)
        if found.by_cell:
            line("## Requests\n")
            request_tables(found, line)
        commands(records, line)
