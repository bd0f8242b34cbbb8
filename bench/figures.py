# figures.py - medians and spreads of records
#
# Owns:    nothing.
# Called:  by report.py, plots.py and quick.py.
# Never:   averages: on a machine shared with others the mean says who else was there.
#
# SPDX-License-Identifier: BSD-3-Clause
import statistics
from collections import defaultdict

CELL = ("block", "pattern", "reads", "depth", "connections")


def median(values):
    return statistics.median(values)


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def spread_percent(values):
    """Half the distance of the quartiles, of the median."""
    low, high = quartiles(values)
    middle = median(values)
    return 50 * (high - low) / middle if middle else 0


def cell_of(record):
    return tuple(record[key] for key in CELL)


def main_latency(record, quantile):
    """Of reads where there are any: these are what a page fault waits for."""
    return record["reads_us" if record["reads"] else "writes_us"][quantile]


class Requests:
    """Records of requests: by cell and peer, then a list over the rounds."""

    def __init__(self, records):
        self.by_cell = defaultdict(lambda: defaultdict(dict))
        self.peers = []
        for record in records:
            if record["what"] != "requests":
                continue
            self.by_cell[cell_of(record)][record["peer"]][record["round"]] = record
            if record["peer"] not in self.peers:
                self.peers.append(record["peer"])

    def values(self, cell, peer, of):
        runs = self.by_cell.get(cell, {}).get(peer, {})
        return [of(runs[number]) for number in sorted(runs)]

    def median(self, cell, peer, of):
        found = self.values(cell, peer, of)
        return median(found) if found else None

    def ratios(self, cell, ours, cell_theirs, theirs, of):
        """Of each round in which both were measured."""
        left = self.by_cell.get(cell, {}).get(ours, {})
        right = self.by_cell.get(cell_theirs, {}).get(theirs, {})
        return [of(left[number]) / of(right[number]) for number in sorted(left)
                if number in right and of(right[number]) > 0]


def iops(record):
    return record["iops"]


def cpu(record):
    return record["cpu_us"]


def p50(record):
    return main_latency(record, "p50")


def p99(record):
    return main_latency(record, "p99")
