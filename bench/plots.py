# plots.py - the records as pictures, drawn by gnuplot
#
# Owns:    the *.svg it writes.
# Called:  by report.py.
# Never:   measures, or needs gnuplot: without it there are no pictures, and the report says so.
#
# SPDX-License-Identifier: BSD-3-Clause
import os
import shutil
import subprocess

import figures

OURS, PEER, KERNEL = "#1a7f37", "#57606a", "#0b5cad"
HEAD = """set terminal svg size {width},{height} background "#ffffff" font "Helvetica,13" rounded
set output "{name}"
set border 3 lc rgb "#57606a"
set tics nomirror
set grid {grid} lc rgb "#d0d7de" lt 1
"""


def color_of(peer):
    if peer.startswith("zram"):
        return KERNEL
    return OURS if peer.startswith(("plugin", "zslotd")) else PEER


def draw(directory, name, script, width=760, height=420, grid="x"):
    head = HEAD.format(name=os.path.join(directory, name), width=width, height=height, grid=grid)
    subprocess.run(["gnuplot"], input=head + script, text=True, check=True)
    # gnuplot's version and the path it was told are no part of the picture.
    path = os.path.join(directory, name)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = text.replace("Produced by GNUPLOT", "drawn by gnuplot").replace(os.path.join(directory, ""), "")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
    return name


def quoted(text):
    return '"' + text.replace('"', "'").replace("_", "-") + '"'


def bars(directory, name, title, unit, rows):
    """ROWS of (peer, value, what is written behind it), the best first."""
    rows = list(reversed(rows))
    lines = [f"set title {quoted(title)}", f"set xlabel {quoted(unit)}", "unset key",
             f"set yrange [-0.6:{len(rows) - 0.4}]", "set boxwidth 0.7", "set style fill solid 1",
             f"set xrange [0:{max(value for _, value, _ in rows) * 1.18}]", "set border 1",
             "set ytics scale 0 (" + ", ".join(f"{quoted(peer)} {at}"
                                              for at, (peer, _, _) in enumerate(rows)) + ")"]
    for at, (peer, value, said) in enumerate(rows):
        lines.append(f'set object rectangle from 0,{at - 0.35} to {value},{at + 0.35} '
                     f'fillstyle solid noborder fillcolor rgb "{color_of(peer)}"')
        lines.append(f"set label {quoted('  ' + said)} at {value},{at} left")
    lines.append("plot -1 with lines lc rgb '#ffffff' notitle")
    return draw(directory, name, "\n".join(lines) + "\n", height=110 + 24 * len(rows))


def curves(directory, name, title, across, up, series, logarithmic="xy"):
    """SERIES: {peer: [(x, y)]}."""
    lines = [f"set title {quoted(title)}", f"set xlabel {quoted(across)}", f"set ylabel {quoted(up)}",
             "set key outside right", f"set logscale {logarithmic}", "set format x '10^{%L}'"]
    if "y" not in logarithmic:
        lines.append("set yrange [0:*]")
    drawn = []
    for number, (peer, points) in enumerate(series.items()):
        lines.append(f"$data{number} << END\n" + "\n".join(f"{x} {y}" for x, y in points) + "\nEND")
        drawn.append(f"$data{number} using 1:2 with linespoints lw 2 pt {number + 4} ps 0.7 "
                     f"dt {number % 3 + 1} lc rgb '{color_of(peer)}' title {quoted(peer)}")
    lines.append("plot " + ", ".join(drawn))
    return draw(directory, name, "\n".join(lines) + "\n", grid="x y")


def request_bars(directory, found, peers, cell, name, title, unit, of, scale, least):
    rows = [(peer, found.median(cell, peer, of)) for peer in peers]
    rows = [(peer, value / scale) for peer, value in rows if value is not None]
    rows.sort(key=lambda row: row[1], reverse=not least)
    if not rows:
        return None
    return bars(directory, name, title, unit,
                [(peer, value, f"{value:.0f}" if value >= 10 else f"{value:.1f}") for peer, value in rows])


def growth_curves(directory, records, what, x, y, name, title, across, up, scale, logarithmic="xy"):
    """X: a key and what to divide it by. Y: a key, or a load's name and its key."""
    series = {}
    for record in records:
        if record["what"] == what:
            value = record[y[0]][y[1]] if isinstance(y, tuple) else record[y]
            series.setdefault(record["peer"], {})[record[x[0]] / x[1]] = value / scale
    if not series:
        return None
    return curves(directory, name, title, across, up,
                  {peer: sorted(points.items()) for peer, points in series.items()}, logarithmic)


def all_of_them(records, directory):
    """The names of what was drawn."""
    if not shutil.which("gnuplot"):
        return []
    found = figures.Requests(records)
    random = {what: (4096, "random", reads, depth, 1)
              for what, reads, depth in (("r1", 100, 1), ("r16", 100, 16), ("w16", 0, 16), ("m16", 70, 16))}
    ram = {record["peer"]: record["bytes_per_page"] for record in records
           if record["what"] == "density" and record["moment"] == "overwritten"}
    drawn = [
        bars(directory, "ram.svg", "RAM of a 4 KiB page, all in, after random overwrites", "bytes",
             [(peer, value, f"{value:.0f}") for peer, value in sorted(ram.items(), key=lambda row: row[1])])
        if ram else None,
        request_bars(directory, found, found.peers, random["r1"], "read-d1.svg",
                     "A random read of 4 KiB, one at a time: what a page fault waits for", "median, µs",
                     figures.p50, 1, True),
        request_bars(directory, found, found.peers, random["r16"], "read-d16.svg",
                     "Random reads of 4 KiB, 16 under way", "thousands a second", figures.iops, 1e3, False),
        request_bars(directory, found, found.peers, random["w16"], "write-d16.svg",
                     "Random writes of 4 KiB, 16 under way", "thousands a second", figures.iops, 1e3, False),
        request_bars(directory, found, found.peers, random["r16"], "read-cpu.svg",
                     "Processor time of a random read of 4 KiB, 16 under way", "µs of the server (zram: of the client)",
                     figures.cpu, 1, True),
        growth_curves(directory, records, "stored", ("pages", 1), "bytes_per_page", "stored-ram.svg",
                      "RAM of a page, as more are stored", "pages stored, in 64 GiB", "bytes", 1),
        growth_curves(directory, records, "stored", ("pages", 1), ("read1", "p50"), "stored-read.svg",
                      "A random read of 4 KiB, as more is stored", "pages stored, in 64 GiB",
                      "median, µs", 1, "x"),
        growth_curves(directory, records, "size", ("size", 1 << 30), "started_bytes", "size-ram.svg",
                      "RAM before anything is stored, by the size of the export", "size, GiB", "MiB", 1 << 20),
    ]
    return [name for name in drawn if name]
