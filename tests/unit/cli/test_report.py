"""The summary for people and for programs."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from relume.cli.restoring.report import Outcome, PhotoReport, Summary, print_summary

STEPS = [
    {"name": "repair_damage", "changed": True, "detail": "Filled 3 scratches."},
    {"name": "denoise", "changed": False, "detail": "No noise."},
    {"name": "sharpen", "changed": True, "detail": "Sharpened."},
]
RESTORED = PhotoReport("a.jpg", Outcome.RESTORED, "out/a.jpg", fidelity=0.9, seconds=1.25, steps=STEPS)
FAILED = PhotoReport("[bold]b.jpg", Outcome.FAILED, reason="The file is empty.")
SKIPPED = PhotoReport("c.jpg", Outcome.SKIPPED, "out/c.jpg")


def summary(*photos: PhotoReport) -> Summary:
    return Summary(Path("out"), {"scale": 2}, photos=list(photos))


def printed(result: Summary) -> str:
    file = io.StringIO()
    print_summary(result, Console(file=file, width=80))
    return file.getvalue()


def test_the_exit_code_tells_how_it_went() -> None:
    assert summary(RESTORED, SKIPPED).exit_code == 0
    assert summary().exit_code == 0
    assert summary(RESTORED, FAILED).exit_code == 1
    stopped = summary(RESTORED)
    stopped.stopped = "The disk is full."
    assert stopped.exit_code == 1
    stopped.interrupted = True
    assert stopped.exit_code == 130


def test_the_summary_counts_and_explains() -> None:
    text = printed(summary(RESTORED, FAILED, SKIPPED))
    assert "a.jpg: repair damage, sharpen" in text
    assert "[bold]b.jpg: failed: The file is empty." in text
    assert "done by an earlier run" in text
    assert "The results are in out." in text


def test_of_many_photos_only_failures_are_listed() -> None:
    text = printed(summary(*[RESTORED] * 13, FAILED))
    assert "repair damage" not in text
    assert "[bold]b.jpg" in text


def test_an_interrupted_run_says_how_to_go_on() -> None:
    interrupted = summary(RESTORED)
    interrupted.interrupted, interrupted.not_started = True, 4
    text = printed(interrupted)
    assert "4  not started" in text
    assert "The same command goes on" in text


def test_nothing_found_is_said() -> None:
    assert "No photos were found." in printed(summary())


def test_programs_get_everything() -> None:
    told = json.loads(json.dumps(summary(RESTORED, FAILED).as_dict()))
    assert told["counts"]["restored"] == told["counts"]["failed"] == 1
    assert told["photos"][0]["steps"][0]["name"] == "repair_damage"
    assert told["photos"][1]["reason"] == "The file is empty."


def test_the_line_of_a_photo_says_what_came_of_it() -> None:
    assert RESTORED.sentence == "restored in 1.2 s: out/a.jpg"
    assert SKIPPED.sentence == "done before: out/c.jpg"
    assert FAILED.sentence == "failed: The file is empty."
