"""One small trained network on the processor, by OpenVINO. Any number of threads may use it at once.

Compiled for tiles of any size: on two cores that is some 5 % slower than a network compiled for one size (15 %
for the narrow ones), and saves photos of other sizes from being filled up or compiled for. Compiling takes
0.05 s, so nothing is kept on disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from relume.builtin.cards import NetCard
from relume.builtin.levels import Levels, luma
from relume.imaging.photo import Pixels
from relume.inference import openvino

Values = NDArray[np.float32]
IMAGE, CONTROLS = "image", "controls"
_NEW_SPEED = 0.3  # the last tile's share in the remembered speed


class Controls(NamedTuple):
    """What a network is told of a photo, so that it removes no more than is there."""

    sigma: float = 0.0
    """Standard deviation of the noise of a channel, in levels."""
    quality: float = 100.0
    """Of the JPEG compression; 100 for none."""

    @property
    def values(self) -> Values:
        """(1, 2), as the networks were trained with."""
        return np.array([[self.sigma / 12, (100 - self.quality) / 100]], np.float32)


CLEAN = Controls()


@dataclass(frozen=True, slots=True)
class NetOptions:
    threads: int = 0
    """Of the processor; 0 is all."""
    precision: str = "auto"
    """`auto` is bfloat16 where the processor has it and the photo has 8 bits; `f32` never is."""


@dataclass(slots=True)
class _Compiled:
    model: Any
    idle: list[Any] = field(default_factory=list)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[Values]:
        # Appending to a list and popping from it are atomic, and a request belongs to one thread meanwhile.
        try:
            request = self.idle.pop()
        except IndexError:
            request = self.model.create_infer_request()
        try:
            made = request.infer(dict(inputs), share_inputs=True)
            return list(made.values())
        finally:
            self.idle.append(request)


class Net:
    """A network whose file has been read. Each kind of input is compiled for when it first comes."""

    def __init__(self, card: NetCard, content: bytes, options: NetOptions) -> None:
        """Raises what OpenVINO raises for a file that it cannot read."""
        self.card = card
        self.seconds_per_megapixel = 0.0
        """Of the result, as it was last; 0 before the first tile."""
        self._options = options
        self._core = openvino().Core()
        self._graph = self._core.read_model(content)
        self._compiled: dict[tuple[str, bool], _Compiled] = {}
        self._compiling = threading.Lock()
        has_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._hint = "bf16" if has_bf16 and options.precision != "f32" else "f32"

    @property
    def title(self) -> str:
        """For a report."""
        return f"{self.card.name} {self.card.version}"

    def levels(self, tile: Pixels | Levels, controls: Controls = CLEAN, *, exact: bool = False) -> Levels:
        """A tile (height, width, 1 or 3) of pixels or levels through a network that makes an image.

        Gives levels, not clipped, both sides times the card's scale, in as many channels. `exact` computes in
        float32, which pixels of 16 bits always are.
        """
        colours = tile if tile.shape[2] == 3 else np.repeat(tile, 3, axis=2)
        exact = exact or tile.dtype == np.uint16
        inputs: dict[str, NDArray[Any]] = {IMAGE: np.ascontiguousarray(colours)[None]}
        if CONTROLS in self.card.inputs:
            inputs[CONTROLS] = controls.values
        compiled = self._variant(tile.dtype.name, exact)
        started, is_first = time.perf_counter(), not compiled.idle
        made = compiled.run(inputs)[0][0]
        if not is_first:  # Which also takes what OpenVINO puts off until then.
            self._note_speed(time.perf_counter() - started, made.shape[0] * made.shape[1] / 1e6)
        return made if tile.shape[2] == 3 else luma(made)[..., None]

    def infer(self, inputs: Mapping[str, Values]) -> list[Values]:
        """Plain arrays in, plain arrays out, as the file names and orders them; in float32 throughout."""
        return self._variant("plain", exact=True).run(inputs)

    def _note_speed(self, seconds: float, megapixels: float) -> None:
        now = seconds / megapixels
        before = self.seconds_per_megapixel or now
        self.seconds_per_megapixel = before + _NEW_SPEED * (now - before)

    def _variant(self, kind: str, exact: bool) -> _Compiled:
        """Compiled once for each kind of input."""
        with self._compiling:
            if (kind, exact) not in self._compiled:
                self._compiled[kind, exact] = _Compiled(self._compile(kind, exact))
            return self._compiled[kind, exact]

    def _compile(self, kind: str, exact: bool) -> Any:
        graph = self._graph.clone()
        if kind != "plain":
            graph = _for_pixels(graph, kind)
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32" if exact else self._hint,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if self._options.threads:
            options["INFERENCE_NUM_THREADS"] = self._options.threads
        return self._core.compile_model(graph, "CPU", options)


def _for_pixels(graph: Any, dtype: str) -> Any:
    """The graph with its image as (1, height, width, 3) of a photo's dtype, and its result in levels.

    Done in the graph, it costs next to nothing; in numpy it took as long as the smallest network.
    """
    package = openvino()
    nhwc, nchw = package.Layout("NHWC"), package.Layout("NCHW")
    white = 255.0 if dtype == "float32" else float(np.iinfo(dtype).max)
    kinds = {"uint8": package.Type.u8, "uint16": package.Type.u16, "float32": package.Type.f32}
    steps = package.preprocess.PrePostProcessor(graph)
    image = steps.input(IMAGE)
    image.tensor().set_element_type(kinds[dtype]).set_layout(nhwc)
    image.model().set_layout(nchw)
    image.preprocess().convert_element_type(package.Type.f32).scale(white)
    result = steps.output(0)
    result.model().set_layout(nchw)
    result.postprocess().custom(_to_levels)
    result.tensor().set_layout(nhwc)
    return steps.build()


def _to_levels(output: Any) -> Any:
    operations = openvino().opset13
    return operations.multiply(output, operations.constant(np.float32(255))).output(0)
