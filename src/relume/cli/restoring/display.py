"""Progress while photos are restored: bars in a terminal, lines elsewhere. Everything goes to stderr."""

from __future__ import annotations

from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from relume.cli.restoring.report import Outcome, PhotoReport


class Display(Protocol):
    """Is told what happens. `step` may be called from another thread."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def start(self, shown: str) -> None:
        """Work on a photo begins."""
        ...

    def step(self, fraction: float, name: str) -> None:
        """How far the present photo is, 0 to 1, and what is being done to it."""
        ...

    def finish(self, report: PhotoReport) -> None: ...

    def tell(self, sentence: str) -> None: ...


def make_display(total: int, console: Console) -> Display:
    return Bars(total, console) if console.is_terminal else Lines(total, console)


class Lines:
    """One line a photo, for logs and pipes."""

    def __init__(self, total: int, console: Console) -> None:
        self._total, self._done, self._console = total, 0, console

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def start(self, shown: str) -> None:
        pass

    def step(self, fraction: float, name: str) -> None:
        pass

    def finish(self, report: PhotoReport) -> None:
        self._done += 1
        self.tell(f"[{self._done}/{self._total}] {report.input}: {report.sentence}")

    def tell(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)


class Bars:
    """A bar for all photos and one for the present photo. Failures stay readable above them."""

    def __init__(self, total: int, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            expand=True,
        )
        self._total, self._done = total, 0
        self._all = self._progress.add_task(self._count(), total=total)
        self._photo = self._progress.add_task("", total=1.0, visible=False)
        self._shown = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def start(self, shown: str) -> None:
        self._shown = shown
        self._progress.reset(self._photo, description=escape(shown), visible=True)

    def step(self, fraction: float, name: str) -> None:
        words = f"{self._shown}: {name.replace('_', ' ')}"
        self._progress.update(self._photo, completed=fraction, description=escape(words))

    def finish(self, report: PhotoReport) -> None:
        self._done += 1
        self._progress.update(self._all, completed=self._done, description=self._count())
        if report.outcome is Outcome.FAILED:
            self.tell(f"{report.input}: {report.sentence}")

    def tell(self, sentence: str) -> None:
        self._progress.console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def _count(self) -> str:
        return f"{self._done} of {self._total} photos"
