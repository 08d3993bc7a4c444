from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from relume.engines import openvino as module
from relume.engines.engine import Engine, EngineOptions
from relume.engines.loaded import LoadedModels, load_engine
from relume.engines.models import ModelUnusable
from relume.engines.openvino import cache_folder, has_bf16, load_openvino, resolve_precision
from relume.engines.weights import Identity, Weights
from tests.unit.engines.nets import compact, put
from tests.unit.engines.test_enlarge import Doubling


def weights(name: str, size_mb: int = 100) -> Weights:
    return Weights(Path(name), name * 64, size_mb * 10**6, Identity("upscaler", "Net"), None)


class Heavy(Doubling):
    held_bytes = 100 * 10**6


def loader(loaded: list[str]) -> LoadedModels:
    def load(found: Weights, _options: EngineOptions, precision: str) -> Engine:
        loaded.append(f"{found.path}-{precision}")
        return Heavy()

    return LoadedModels(EngineOptions(Path(), memory_mb=250), load)


def test_a_model_is_loaded_once() -> None:
    loaded: list[str] = []
    models = loader(loaded)
    assert models.get(weights("a")) is models.get(weights("a"))
    assert models.get(weights("a"), "f32") is not models.get(weights("a"))
    assert loaded == ["a-auto", "a-f32"]


def test_the_least_lately_used_goes_when_there_is_no_room() -> None:
    loaded: list[str] = []
    models = loader(loaded)
    for name in ("a", "b", "a", "c", "a", "b"):
        models.get(weights(name))
        assert models.held_bytes <= 250 * 10**6
    assert loaded == ["a-auto", "b-auto", "c-auto", "b-auto"]


def test_a_model_larger_than_the_limit_is_loaded_all_the_same() -> None:
    models = loader([])
    models.get(weights("a"))
    models.get(weights("b", size_mb=999))
    assert models.held_bytes == 100 * 10**6


def test_a_forgotten_model_is_loaded_anew() -> None:
    loaded: list[str] = []
    models = loader(loaded)
    models.get(weights("a"))
    models.drop(weights("a"))
    models.get(weights("a"))
    assert loaded == ["a-auto", "a-auto"]


def test_auto_takes_bf16_where_the_processor_has_it(compact_weights: Weights, cache: Path) -> None:
    engine = load_engine(compact_weights, EngineOptions(cache), "auto")
    assert engine.precision == ("bf16" if has_bf16() else "f32")
    assert engine.device == "processor"
    assert resolve_precision("f32") == "f32"


@pytest.mark.parametrize("has_it", [True, False])
def test_a_processor_without_bf16_says_so_once(monkeypatch: pytest.MonkeyPatch, *, has_it: bool) -> None:
    """Whatever this processor has."""
    monkeypatch.setattr(module, "has_bf16", lambda: has_it)
    module._tell_of_no_bf16.cache_clear()
    with capture_logs() as logs:
        resolved = [resolve_precision(asked) for asked in ("auto", "f32", "int8", "bf16", "bf16")]
    used = "bf16" if has_it else "f32"
    assert resolved == [used, "f32", "int8", used, used]
    assert [entry["event"] for entry in logs] == ([] if has_it else ["precision.not_here"])


def test_a_model_is_converted_once(
    compact_weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EngineOptions(tmp_path)
    load_openvino(compact_weights, options, "f32")
    monkeypatch.setattr(module, "load_torch", None)
    again = load_openvino(compact_weights, options, "bf16")
    assert again.shape.scale == 4
    assert [path.name for path in tmp_path.iterdir()] == [cache_folder(compact_weights, options, "f32").name]


def test_a_file_that_was_replaced_is_not_kept_as_the_one_it_was(
    compact_weights: Weights, tmp_path: Path
) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(compact_weights.path.read_bytes())
    found = replace(compact_weights, path=path, modified_ns=path.stat().st_mtime_ns)
    os.utime(path, ns=(0, found.modified_ns + 1))
    with pytest.raises(ModelUnusable, match="replaced"):
        load_engine(found, EngineOptions(tmp_path / "cache"), "auto")
    assert not (tmp_path / "cache").exists()


def test_a_conversion_that_was_killed_counts_for_nothing(compact_weights: Weights, tmp_path: Path) -> None:
    options = EngineOptions(tmp_path)
    (tmp_path / ".converting-killed").mkdir()
    (tmp_path / ".converting-killed" / "model.xml").write_text("half")
    assert load_openvino(compact_weights, options, "f32").held_bytes > 1000


def test_other_weights_have_another_conversion(compact_weights: Weights, tmp_path: Path) -> None:
    options = EngineOptions(tmp_path)
    other = replace(compact_weights, sha256="f" * 64)
    folders = {
        cache_folder(found, options, kind) for found in (compact_weights, other) for kind in ("f32", "int8")
    }
    assert len(folders) == 4
    assert cache_folder(other, options, "f32") == cache_folder(other, options, "bf16")


@pytest.mark.timeout(300)
def test_two_processes_may_convert_the_same_weights(compact_weights: Weights, tmp_path: Path) -> None:
    program = f"""
        from pathlib import Path
        import torch
        torch.set_num_threads(1)
        from relume.engines.engine import EngineOptions
        from relume.engines.openvino import load_openvino
        from relume.engines.weights import Identity, Weights
        path, sha256 = Path({str(compact_weights.path)!r}), {compact_weights.sha256!r}
        found = Weights(path, sha256, 1, Identity("upscaler", "x"), None)
        print(load_openvino(found, EngineOptions(Path({str(tmp_path)!r})), "f32").shape.scale)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for process in both:
        out, err = process.communicate(timeout=280)
        assert (process.returncode, out.splitlines()[-1:]) == (0, ["4"]), err
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "about.json").read_text())["shape"]["scale"] == 4


def test_a_conversion_that_computes_something_else_is_refused(
    compact_weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_agrees", lambda *_arguments: False)
    with pytest.raises(ModelUnusable, match="something else"):
        load_openvino(compact_weights, EngineOptions(tmp_path), "f32")
    assert list(tmp_path.iterdir()) == []
    engine = load_engine(compact_weights, EngineOptions(tmp_path), "auto")
    assert (engine.precision, type(engine).__name__) == ("f32", "TorchEngine")


def test_onnx_files_are_models_too(tmp_path: Path, cache: Path, compact_weights: Weights) -> None:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper

    del compact_weights  # Its fixture asks for the packages.
    dims: list[int | str | None] = [1, 3, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Resize", ["image", "", "scales"], ["large"], mode="nearest")],
        "double",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("large", TensorProto.FLOAT, None)],
        [helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2])],
    )
    opset = [helper.make_opsetid("", 17)]
    (tmp_path / "double.onnx").write_bytes(
        onnx.ModelProto.SerializeToString(helper.make_model(graph, opset_imports=opset, ir_version=9))
    )
    from relume.engines.models import identify
    from relume.engines.weights import WeightsFolder

    (found,) = WeightsFolder(tmp_path, tmp_path / "index.json", identify).scan()
    assert (found.kind, found.scale) == ("upscaler", 2)
    image = np.random.default_rng(1).random((1, 3, 20, 24), np.float32)
    made = load_engine(found, EngineOptions(cache), "f32").run(image)
    assert made.shape == (1, 3, 40, 48)
    assert made.mean() == pytest.approx(image.mean(), abs=1e-3)


def test_weights_for_another_net_are_not_loaded(
    tmp_path: Path, cache: Path, compact_weights: Weights
) -> None:
    put(compact(), tmp_path, "other.pth")
    data = (tmp_path / "other.pth").read_bytes()
    (tmp_path / "other.pth").write_bytes(data[: len(data) // 2])
    broken = replace(compact_weights, path=tmp_path / "other.pth", sha256="0" * 64)
    with pytest.raises(ModelUnusable):
        load_engine(broken, EngineOptions(cache), "auto")
