from __future__ import annotations

from pathlib import Path

import pytest

from relume.engines.engine import EngineOptions
from relume.engines.openvino import OpenVinoEngine, load_openvino
from relume.engines.weights import Weights
from tests.unit.engines.nets import compact, need_packages, put


@pytest.fixture(scope="session")
def compact_weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    need_packages()
    return put(compact(), tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of converted models, shared by tests as it is by processes."""
    return tmp_path_factory.mktemp("converted")


@pytest.fixture
def compact_engine(compact_weights: Weights, cache: Path) -> OpenVinoEngine:
    return load_openvino(compact_weights, EngineOptions(cache), "f32")
