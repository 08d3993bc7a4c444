"""Models on the processor by OpenVINO: converted once, kept on disk, in bfloat16 where the processor has it."""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from dataclasses import asdict, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from relume.engines.engine import PROCESSOR, EngineOptions, Images
from relume.engines.memory import free_bytes
from relume.engines.models import ModelShape, ModelUnusable, load_torch, read_onnx
from relume.engines.packages import openvino, torch
from relume.engines.weights import Weights
from relume.telemetry import logger

log = logger(__name__)

FORMAT = 2
"""Raised when what is written changes, so that older conversions are not taken for new ones."""
FIXED_SIDE = 256
"""For models that cannot be converted for images of any size."""
_TRACED_SIDE = 64
_OTHER_SIZES = ((48, 80), (96, 64))
_TOLERANCE = 2e-3
"""How far a conversion may be off, of 1: real faults are a hundred times that."""
_SAMPLE_SIDE = 64
_SLACK = 1.25
"""OpenVINO reorders and pads besides what the graph shows."""
_ALLOCATION_FAILED = (
    "bad_alloc",
    "cannot allocate",
    "failed to allocate",
    "out of memory",
    "not enough memory",
)


class OpenVinoEngine:
    """A converted model. Keeps one inference request, as only one thread may use it."""

    device = PROCESSOR
    batch = 1

    def __init__(self, folder: Path, shape: ModelShape, precision: str, threads: int = 0) -> None:
        self.shape, self.precision = shape, precision
        self.folder = folder
        core = openvino().Core()
        self._graph = core.read_model(folder / "model.xml")
        hint = "f32" if precision == "f32" or not has_bf16() else "bf16"
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        self._compiled = core.compile_model(self._graph, "CPU", options)
        self._request: Any = None

    @cached_property
    def held_bytes(self) -> int:
        return (self.folder / "model.bin").stat().st_size

    @cached_property
    def bytes_per_pixel(self) -> float:
        """The most that is alive at once in the graph, in float32: what is computed in less takes less."""
        side = self.shape.side or max(_SAMPLE_SIDE, self.shape.smallest)
        graph = self._graph.clone()
        graph.reshape([1, 3, side, side])
        return _peak_bytes(graph) * _SLACK / side**2

    def run(self, images: Images) -> Images:
        if self._request is None:
            self._request = self._compiled.create_infer_request()
        made: Images = self._request.infer(
            {0: np.ascontiguousarray(images)}, share_inputs=True, share_outputs=True
        )[0]
        return made

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError) or (
            isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _ALLOCATION_FAILED)
        )

    def free_bytes(self) -> int:
        return free_bytes()

    def release(self) -> None:
        self._request = None


def has_bf16() -> bool:
    """Whether the processor multiplies in bfloat16 by itself."""
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def resolve_precision(asked: str) -> str:
    """`auto`, and bfloat16 where the processor has none, become what will be computed in."""
    if asked not in ("auto", "bf16"):
        return asked
    if has_bf16():
        return "bf16"
    if asked == "bf16":
        _tell_of_no_bf16()
    return "f32"


@cache
def _tell_of_no_bf16() -> None:
    """Once in a process."""
    log.warning("precision.not_here", asked="bf16", used="f32")


def cache_folder(weights: Weights, options: EngineOptions, precision: str) -> Path:
    """Where the conversion of these weights by this version of OpenVINO lies."""
    version = openvino().get_version().partition("-")[0]
    stored = "int8" if precision == "int8" else "f32"  # bfloat16 is made of float32 when a model is compiled.
    return options.cache / f"{weights.sha256[:32]}-{stored}-openvino-{version}-{FORMAT}"


def load_openvino(weights: Weights, options: EngineOptions, precision: str) -> OpenVinoEngine:
    """Raises ModelUnusable. For `int8`, the quantised model must be in the cache."""
    folder = cache_folder(weights, options, precision)
    if not (folder / "about.json").exists():
        if precision == "int8":
            raise ModelUnusable("it has not been quantised yet")
        convert(weights, folder)
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    return OpenVinoEngine(folder, ModelShape(**about["shape"]), precision, options.threads)


def convert(weights: Weights, folder: Path) -> None:
    """Write the conversion into `folder`, whole or not at all. Raises ModelUnusable."""
    log.info("model.converting", weights=weights.path.name)
    if weights.path.suffix.lower() == ".onnx":
        graph, shape = read_onnx(weights.path)
        graph.reshape([1, 3, -1, -1])
    else:
        graph, shape = _from_torch(*load_torch(weights.path))
    if (
        weights.is_replaced
    ):  # What was read may be the new file: it must not be kept under the old one's SHA-256.
        raise ModelUnusable("its file was replaced while it was read")
    save(graph, shape, folder)


def save(graph: Any, shape: ModelShape, folder: Path) -> None:
    """Two processes may save the same model at once: the first wins, the second's is dropped."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".converting-"))
    try:
        openvino().save_model(graph, aside / "model.xml", compress_to_fp16=False)
        (aside / "about.json").write_text(json.dumps({"shape": asdict(shape)}), encoding="utf-8")
        aside.rename(folder)
    except OSError:
        if not (folder / "about.json").exists():
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _from_torch(model: Any, shape: ModelShape) -> tuple[Any, ModelShape]:
    """Converted for images of any size where that comes out right, else for tiles of one size."""
    if shape.side is not None:
        graph = _traced(model, shape.side)
        graph.reshape([1, 3, shape.side, shape.side])
        return graph, shape
    side = -(-max(_TRACED_SIDE, shape.smallest) // shape.multiple_of) * shape.multiple_of
    graph = _traced(model, side)
    graph.reshape([1, 3, -1, -1])
    if all(_agrees(model, graph, shape, size) for size in _OTHER_SIZES):
        return graph, shape
    side = -(-max(FIXED_SIDE, shape.smallest) // shape.multiple_of) * shape.multiple_of
    graph = _traced(model, side)
    graph.reshape([1, 3, side, side])
    if not _agrees(model, graph, shape, (side, side)):
        raise ModelUnusable("OpenVINO computes something else than torch")
    return graph, replace(shape, side=side)


def _traced(model: Any, side: int) -> Any:
    example = torch().zeros(1, 3, side, side)
    with torch().no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of tracing, whose result is compared with the model itself.
        return openvino().convert_model(model, example_input=example)


def _agrees(model: Any, graph: Any, shape: ModelShape, size: tuple[int, int]) -> bool:
    sides = [-(-max(side, shape.smallest) // shape.multiple_of) * shape.multiple_of for side in size]
    image = np.random.default_rng(3).random((1, 3, *sides), np.float32)
    with torch().inference_mode():
        wanted = model(torch().from_numpy(image)).numpy()
    try:
        options = {"INFERENCE_PRECISION_HINT": "f32"}
        given = openvino().compile_model(graph, "CPU", options)({0: image})[0]
    except RuntimeError:
        return False
    return wanted.shape == given.shape and bool(np.abs(wanted - given).max() <= _TOLERANCE)


def _peak_bytes(graph: Any) -> int:
    """The most memory that values computed in the graph need at one time, each kept until its last use."""
    operations = graph.get_ordered_ops()
    place = {operation.get_name(): index for index, operation in enumerate(operations)}
    change = [0] * (len(operations) + 1)
    for index, operation in enumerate(operations):
        if operation.get_type_name() == "Constant":
            continue
        for output in operation.outputs():
            size = int(np.prod(list(output.get_shape()))) * 4
            readers = [place[target.get_node().get_name()] for target in output.get_target_inputs()]
            change[index] += size
            change[max(readers, default=index) + 1] -= size
    return int(np.cumsum(change).max())
