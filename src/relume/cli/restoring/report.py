"""What came of each photo, and of the whole run: as a table for people, as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from relume import __version__

FEW_PHOTOS = 12
"""Up to so many restored photos, each one's repairs are listed."""
SUCCESS, SOME_FAILED, INTERRUPTED = 0, 1, 130


class Outcome(StrEnum):
    RESTORED = "restored"
    DEGRADED = "degraded"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


EXPLANATIONS = {
    Outcome.RESTORED: "",
    Outcome.DEGRADED: "the first choice of service failed, another one did it",
    Outcome.UNCHANGED: "nothing needed a repair",
    Outcome.SKIPPED: "done by an earlier run",
    Outcome.FAILED: "see below",
}


@dataclass(frozen=True, slots=True)
class PhotoReport:
    """What came of one photo."""

    input: str
    outcome: Outcome
    output: str | None = None
    reason: str | None = None
    """Why it failed."""
    fidelity: float | None = None
    seconds: float | None = None
    steps: Sequence[dict[str, Any]] = ()

    @property
    def repairs(self) -> str:
        """The steps that changed something, in few words."""
        return ", ".join(step["name"].replace("_", " ") for step in self.steps if step["changed"])

    @property
    def sentence(self) -> str:
        if self.outcome is Outcome.FAILED:
            return f"failed: {self.reason}"
        if self.outcome is Outcome.SKIPPED:
            return f"done before: {self.output}"
        return f"{self.outcome} in {self.seconds or 0:.1f} s: {self.output}"


@dataclass(slots=True)
class Summary:
    """What came of a run."""

    output: Path
    options: dict[str, Any]
    photos: list[PhotoReport] = field(default_factory=list)
    not_photos: int = 0
    not_started: int = 0
    interrupted: bool = False
    stopped: str | None = None
    """Why the run had to end early, if not by the user."""

    def count(self, outcome: Outcome) -> int:
        return sum(photo.outcome is outcome for photo in self.photos)

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return INTERRUPTED
        return SOME_FAILED if self.stopped or self.count(Outcome.FAILED) else SUCCESS

    def as_dict(self) -> dict[str, Any]:
        return {
            "relume": __version__,
            "output": str(self.output),
            "options": self.options,
            "interrupted": self.interrupted,
            "stopped": self.stopped,
            "counts": {outcome.value: self.count(outcome) for outcome in Outcome}
            | {"not_started": self.not_started, "not_photos": self.not_photos},
            "photos": [asdict(photo) for photo in self.photos],
        }


def print_summary(summary: Summary, console: Console) -> None:
    """The table of outcomes, then what was done to few photos, then every failure."""
    console.print(_table(summary))
    done = [photo for photo in summary.photos if photo.outcome in (Outcome.RESTORED, Outcome.DEGRADED)]
    if len(done) <= FEW_PHOTOS:
        for photo in done:
            _line(console, f"{photo.input}: {photo.repairs or 'enlarged only'}")
    for photo in summary.photos:
        if photo.outcome is Outcome.FAILED:
            _line(console, f"{photo.input}: failed: {photo.reason}")
    for sentence in _closing(summary):
        _line(console, sentence)


def _table(summary: Summary) -> Table:
    table = Table("photos", "outcome", "", box=None, pad_edge=False)
    table.columns[0].justify = "right"
    for outcome, explanation in EXPLANATIONS.items():
        if count := summary.count(outcome):
            table.add_row(str(count), outcome.value, explanation)
    if summary.not_started:
        table.add_row(str(summary.not_started), "not started", "the same command goes on with them")
    if summary.not_photos:
        table.add_row(str(summary.not_photos), "not photos", "other files in the folders")
    return table


def _closing(summary: Summary) -> list[str]:
    sentences = []
    if not summary.photos and not summary.not_started:
        sentences.append("No photos were found.")
    if summary.stopped:
        sentences.append(summary.stopped)
    if summary.interrupted:
        sentences.append("Stopped. The same command goes on where this one ended.")
    if len(summary.photos) > summary.count(Outcome.FAILED):
        sentences.append(f"The results are in {summary.output}.")
    return sentences


def _line(console: Console, text: str) -> None:
    """A line as it is: file names hold brackets that are no markup, and are not to be broken."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
