"""Counting in memory, until the pulse adds it to what all processes have counted."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict

from relume.metrics import Counter, Histogram

TallyKey = tuple[str, str]
"""A series as table `tallies` names it: its name, and its labels as JSON with sorted keys."""

_LABEL_CHARACTERS = 60
"""A longer value is cut, so that a series always fits its column."""
_Series = tuple[Counter | Histogram, str, tuple[str, ...]]


class MemoryMeters:
    """The counts of this process since they were last taken. Not safe for threads: for one event loop.

    One count is one addition in a dictionary, an observation two: names and labels are put together only when
    the counts are taken.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[_Series, float] = defaultdict(float)
        self._put_back: dict[TallyKey, float] = {}

    def count(self, counter: Counter, amount: float = 1.0, /, **labels: str) -> None:
        self._counts[counter, "", tuple(labels[name] for name in counter.labels)] += amount

    def observe(self, histogram: Histogram, value: float, /, **labels: str) -> None:
        values = tuple(labels[name] for name in histogram.labels)
        self._counts[histogram, _bucket(histogram, value), values] += 1
        self._counts[histogram, "sum", values] += value

    def take(self) -> dict[TallyKey, float]:
        """What was counted since the last time; it begins at nothing again."""
        taken, self._counts = self._counts, defaultdict(float)
        summed: defaultdict[TallyKey, float] = defaultdict(float, self._put_back)
        self._put_back = {}
        for series, amount in taken.items():
            summed[_key(series)] += amount
        return dict(summed)

    def put_back(self, counts: dict[TallyKey, float]) -> None:
        """What was taken and could not be added to the totals: it is taken again the next time."""
        self._put_back = counts


def _bucket(histogram: Histogram, value: float) -> str:
    """The upper bound of the bucket that a value falls into, as Prometheus writes it."""
    place = bisect_left(histogram.buckets, value)
    return str(histogram.buckets[place]) if place < len(histogram.buckets) else "+Inf"


def _key(series: _Series) -> TallyKey:
    metric, part, values = series
    labels = {name: value[:_LABEL_CHARACTERS] for name, value in zip(metric.labels, values, strict=True)}
    name = metric.name
    if part == "sum":
        name += "_sum"
    elif part:
        name += "_bucket"
        labels["le"] = part
    return name, json.dumps(labels, sort_keys=True, separators=(",", ":"))
