"""Which weights do a task."""

from __future__ import annotations

from pathlib import Path

import pytest

from relume.engines.stock import Stock
from relume.engines.weights import Identity, Kind, KnownWeights, Weights


def weights(kind: Kind, scale: int = 1, size: int = 10, problem: str = "", version: str = "") -> Weights:
    digest = f"{kind}{scale}{size}{version}".ljust(64, "0")
    known = KnownWeights("n.pth", "", size, digest, "Net", kind, scale, "tests", "MIT", "", version)
    identity = Identity(kind, "Net", scale, problem)
    return Weights(Path("n.pth"), digest, size, identity, known if version else None)


@pytest.mark.parametrize(
    ("scale", "chosen"), [(4, (4, 30)), (2, (2, 10)), (1, (2, 10))], ids=["four times", "twice", "same size"]
)
def test_takes_the_model_of_the_very_scale_and_of_several_the_largest(
    scale: int, chosen: tuple[int, int]
) -> None:
    files = [weights("upscaler", 4, 20), weights("upscaler", 4, 30), weights("upscaler", 2, 10)]
    found = Stock.of(files).upscaler_for(scale)
    assert found is not None
    assert (found.scale, found.size_bytes) == chosen
    assert Stock.of(files).upscaler_for(3) is None


def test_takes_the_face_model_that_was_asked_for_else_the_newest() -> None:
    stock = Stock.of([weights("faces", version="v1.4"), weights("faces", version="v1.3")])
    taken = [stock.faces_for(version) for version in ("v1.3", "v1.4", "v9")]
    assert [found.version.split()[0] for found in taken if found] == ["v1.3", "v1.4", "v1.4"]
    assert Stock().faces_for("v1.4") is None


def test_what_cannot_be_used_is_there_and_does_nothing() -> None:
    stock = Stock.of([weights("upscaler", 4, problem="it cannot be read"), weights("other")])
    assert stock.has_files
    assert stock.usable == ()
    assert not Stock.of([]).has_files
