"""The damage finder can be trained further from the file that ships, within the precision it is stored in."""

from __future__ import annotations

from pathlib import Path

from tests.unit.training.modules import module


def test_weights_come_back_from_the_exported_file(tmp_path: Path) -> None:
    export_mask, mask_net = module("export_mask"), module("mask_net")
    import torch

    torch.manual_seed(3)
    net = mask_net.MaskNet()
    for weights in net.parameters():  # as after training: no two alike
        torch.nn.init.normal_(weights, std=0.1)
    export_mask.export(net, tmp_path / "net.onnx")
    again = export_mask.shipped(tmp_path / "net.onnx")

    trained = net.state_dict()
    assert again.keys() == trained.keys()
    for name, weights in trained.items():
        assert (again[name] - weights).abs().max() <= 1e-3 * weights.abs().max() + 1e-7, name
