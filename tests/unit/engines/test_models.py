"""Weights as models, compared with the plain forward pass of torch."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relume.engines.cuda import TorchEngine
from relume.engines.engine import EngineOptions
from relume.engines.models import ModelUnusable, identify, load_torch
from relume.engines.openvino import load_openvino
from tests.unit.engines.nets import compact, gfpgan, need_packages, put, rrdb


@pytest.fixture(autouse=True)
def _packages() -> None:
    need_packages()


NETS: dict[str, tuple[Callable[[], Any], str, int, int]] = {
    "SRVGGNetCompact x4": (lambda: compact(4), "upscaler", 4, 48),
    "RRDBNet x4": (lambda: rrdb(4), "upscaler", 4, 40),
    "RRDBNet x2, shuffled": (lambda: rrdb(2), "upscaler", 2, 72),
    "GFPGAN": (gfpgan, "faces", 1, 64),
}


@pytest.mark.parametrize("name", NETS)
def test_every_engine_computes_what_torch_computes(name: str, tmp_path: Path, cache: Path) -> None:
    import torch

    make, kind, scale, side = NETS[name]
    model = make()
    weights = put(model, tmp_path)
    assert (weights.kind, weights.scale) == (kind, scale)
    image = np.random.default_rng(1).random((1, 3, side, side), np.float32)
    with torch.inference_mode():
        if kind == "faces":
            given = torch.from_numpy(image) * 2 - 1
            wanted = model(given, return_rgb=False, randomize_noise=False)[0].numpy() / 2 + 0.5
            wanted = wanted.clip(0, 1)
        else:
            wanted = model(torch.from_numpy(image)).numpy()
    for engine in (
        load_openvino(weights, EngineOptions(cache), "f32"),
        TorchEngine(*load_torch(weights.path), "cpu"),
    ):
        assert engine.shape.kind == kind
        made = engine.run(image)
        assert made.shape == (1, 3, side * scale, side * scale)
        assert np.abs(made - wanted).max() < 2e-3
        assert np.std(wanted) > 0.01


def test_gfpgan_gives_the_same_face_each_time(tmp_path: Path) -> None:
    engine = TorchEngine(*load_torch(put(gfpgan(), tmp_path).path), "cpu")
    image = np.full((1, 3, 64, 64), 0.5, np.float32)
    assert np.array_equal(engine.run(image), engine.run(image))


def test_safetensors_are_read_too(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(compact().state_dict(), tmp_path / "net.safetensors")
    assert identify(tmp_path / "net.safetensors").kind == "upscaler"


def test_files_that_are_no_weights_say_so(tmp_path: Path) -> None:
    import torch

    (tmp_path / "noise.pth").write_bytes(b"no weights at all")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "noise.onnx").write_bytes(b"no graph")
    assert identify(tmp_path / "noise.pth").problem == "it cannot be read as weights"
    assert identify(tmp_path / "other.pth").problem == "its architecture is not known"
    assert identify(tmp_path / "noise.onnx").problem == "it cannot be read as ONNX"


@pytest.mark.parametrize(
    ("taken", "given", "kind"),
    [
        ((1, 3, 112, 112), (1, 128), "recogniser"),
        ((1, 3, 112, 112), (1, 512), "other"),
        ((1, 3, 128, 128), (1, 128), "other"),
    ],
)
def test_sface_is_known_by_its_shape(
    tmp_path: Path, taken: tuple[int, ...], given: tuple[int, ...], kind: str
) -> None:
    import onnx
    from onnx import TensorProto, helper

    weights = helper.make_tensor("weights", TensorProto.FLOAT, (3, given[1]), [0.0] * 3 * given[1])
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["data"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["fc1"]),
        ],
        "recogniser",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, taken)],
        [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, given)],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (tmp_path / "any.onnx").write_bytes(onnx.ModelProto.SerializeToString(model))
    found = identify(tmp_path / "any.onnx")
    assert (found.kind, bool(found.problem)) == (kind, kind == "other")


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    """A .pth file is a pickle, which can name any function."""
    import torch

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "was run",))

    torch.save({"params": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ModelUnusable):
        load_torch(tmp_path / "evil.pth")
    assert not (tmp_path / "was run").exists()


@pytest.mark.parametrize("state", ["absent", "broken"])
def test_spandrel_loads_without_a_torchvision_that_works(state: str) -> None:
    """And nobody else finds the stand-in afterwards."""
    program = f"""
        import importlib.abc, importlib.machinery, importlib.util, sys

        class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] != "torchvision":
                    return None
                if "{state}" == "absent":
                    raise ModuleNotFoundError("No module named 'torchvision'", name="torchvision")
                return importlib.machinery.ModuleSpec(name, self, is_package=True)

            def create_module(self, spec):
                return None

            def exec_module(self, module):
                raise RuntimeError("operator torchvision::nms does not exist")

        sys.meta_path.insert(0, Finder())
        from relume.engines.packages import spandrel
        import torch
        loaded = spandrel()
        assert not [name for name in sys.modules if name.startswith("torchvision")]
        from spandrel.architectures.RestoreFormer import tv_normalize
        image = torch.rand(3, 4, 5)
        expected = (image - 0.5) / 0.25
        assert torch.allclose(tv_normalize(image, (0.5,) * 3, (0.25,) * 3), expected)
        print(loaded.__version__)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0.4")


def test_nothing_reports_to_the_makers_of_a_package() -> None:
    program = """
        import sys
        from relume.engines.packages import nncf, openvino
        openvino(), nncf()
        assert sys.modules["openvino_telemetry"] is None
        from openvino.tools.ovc import telemetry_utils
        assert telemetry_utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
