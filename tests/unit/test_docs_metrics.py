"""Every metric is documented as it is, and alerts are made of metrics that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from relume.metrics import COUNTERS, GAUGES, HISTOGRAMS, Counter, Gauge, Histogram

DOCS = Path(__file__).resolve().parents[2] / "docs"
ALL: dict[str, Counter | Gauge | Histogram] = {**COUNTERS, **HISTOGRAMS, **GAUGES}


def rows() -> dict[str, tuple[str, tuple[str, ...]]]:
    """The tables of docs/metrics.md: type and labels by name."""
    found = re.findall(
        r"^\| `(relume_\w+)` \| (\w+) \| ([^|]*)\| \S[^|]+ \|$",
        (DOCS / "metrics.md").read_text(),
        re.MULTILINE,
    )
    return {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in found}


@pytest.mark.parametrize("name", list(ALL))
def test_every_metric_is_documented_with_its_type_and_labels(name: str) -> None:
    assert rows()[name] == (type(ALL[name]).__name__.lower(), ALL[name].labels)


def test_no_metric_is_documented_that_does_not_exist() -> None:
    assert set(rows()) == set(ALL)


def test_names_follow_the_conventions_of_prometheus() -> None:
    for name, metric in ALL.items():
        assert re.fullmatch(r"relume_[a-z_]+", name)
        assert len(f"{name}_bucket") <= 60, "the column's length"
        assert name.endswith("_total") == isinstance(metric, Counter)
        assert isinstance(metric, Histogram) <= name.endswith("_seconds")


def test_every_metric_of_the_code_is_in_the_table() -> None:
    code = (DOCS.parent / "src" / "relume" / "metrics.py").read_text()
    assert set(re.findall(r'"(relume_\w+)"', code)) == set(ALL)


def alerts() -> list[dict[str, str]]:
    (group,) = yaml.safe_load((DOCS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    rules: list[dict[str, str]] = group["rules"]
    return rules


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_alerts_ask_for_metrics_and_labels_that_exist(rule: dict[str, str]) -> None:
    used = re.findall(r"(relume_[a-z_]+)(?:\{(\w+)=)?", rule["expr"])
    assert used or rule["alert"] == "RelumeDown"
    for name, label in used:
        assert name in ALL
        assert not label or label in ALL[name].labels
    for grouped in re.findall(r"by \(([\w, ]+)\)", rule["expr"]):
        assert set(grouped.split(", ")) <= set(ALL[used[0][0]].labels)
    assert f"`{rule['alert']}`" in (DOCS / "operations.md").read_text()
