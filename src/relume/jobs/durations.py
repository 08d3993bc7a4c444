"""How long a photo takes, told from how long others took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_SPREAD = 1.5
"""How much larger the larger photos must be than the smaller ones for a line through both to mean something."""


@dataclass(frozen=True, slots=True)
class Run:
    """A job that has succeeded."""

    seconds: float
    """From its start to its end."""
    megapixels: float
    """Of its result."""
    providers: tuple[str, ...]
    """Who did each task, in order."""


def usual_seconds(runs: Sequence[Run], megapixels: float | None = None) -> float | None:
    """What a job with a result of this size takes; without a size, the median. None where there are no runs.

    A fixed part and a part by size are told from the smaller and the larger thirds of the runs by the line
    through their medians (Tukey, Exploratory Data Analysis, 1977: the resistant line), which a few odd runs
    do not move. Where all were of about one size, or the line leaves no fixed part, the time is taken to grow
    with the size.
    """
    if not runs:
        return None
    if megapixels is None:
        return median(run.seconds for run in runs)
    ordered = sorted(runs, key=lambda run: run.megapixels)
    third = max(len(ordered) // 3, 1)
    small, short = _middle(ordered[:third])
    large, long = _middle(ordered[-third:])
    if large <= _SPREAD * small:
        return megapixels * _rate(runs)
    slope = max(long - short, 0.0) / (large - small)
    fixed = short - slope * small
    if slope == 0.0:
        return median(run.seconds for run in runs)
    return fixed + slope * megapixels if fixed > 0.0 else megapixels * _rate(runs)


def _rate(runs: Sequence[Run]) -> float:
    """Seconds for a megapixel."""
    return median(run.seconds / run.megapixels for run in runs)


def _middle(runs: Sequence[Run]) -> tuple[float, float]:
    return median(run.megapixels for run in runs), median(run.seconds for run in runs)
