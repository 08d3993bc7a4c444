"""An exported network can be trained further: it goes back into the shape it was trained in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.modules import module


@pytest.fixture(params=[1, 2])
def net(request: pytest.FixtureRequest) -> Any:
    conditional = module("conditional")
    import torch

    torch.manual_seed(3)
    made = conditional.Conditional(8, 2, request.param, telling=6)
    for weights in made.parameters():  # as after training: no two alike
        torch.nn.init.normal_(weights, std=0.1)
    return made


def test_weights_come_back_from_the_exported_file(net: Any, tmp_path: Path) -> None:
    module("export_conditional").export(net, tmp_path / "net.onnx")
    again = module("train_conditional").shipped(tmp_path / "net.onnx")

    trained = net.state_dict()
    assert again.keys() == trained.keys()
    for name, weights in trained.items():
        assert (again[name] - weights).abs().max() < 1e-6, name
