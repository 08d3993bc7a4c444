"""A file of weights as a model: what it is, what it makes of an image, and how it wants its tiles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relume.engines.gfpgan import build_gfpgan, is_gfpgan
from relume.engines.packages import missing_packages, openvino, spandrel
from relume.engines.weights import Identity, Kind

_YUNET_OUTPUTS = frozenset({"cls_8", "obj_8", "bbox_8", "kps_8"})
_SFACE_INPUT, _SFACE_OUTPUT = (1, 3, 112, 112), (1, 128)
"""An upright face in, what tells it from others out."""
_SAMPLE_SIDE = 64
_COLOURS = 3


class ModelUnusable(Exception):
    """A file that is no model Relume can run. Its message is a sentence for a user."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What an engine has to know of a model, whatever runs it."""

    kind: Kind
    architecture: str
    scale: int
    multiple_of: int = 1
    """Input sides it takes."""
    smallest: int = 1
    side: int | None = None
    """The only input side it takes; None where any will do."""
    half_precision: bool = True
    """Whether it works in float16 on a GPU."""


def load_torch(path: Path) -> tuple[Any, ModelShape]:
    """A model in evaluation mode, (n, 3, height, width) from 0 to 1 to the same at its scale.

    Runs no code from the file. Raises ModelUnusable.
    """
    loader = spandrel().ModelLoader()
    try:
        state = loader.load_state_dict_from_file(path)
        if is_gfpgan(state):
            model, side = build_gfpgan(state)
            return model, ModelShape("faces", "GFPGAN", 1, side=side, half_precision=False)
        found = loader.load_from_state_dict(state)
    except spandrel().UnsupportedModelError as error:
        raise ModelUnusable("its architecture is not known") from error
    except Exception as error:  # spandrel, torch and pickle raise all kinds for a damaged file.
        raise ModelUnusable("it cannot be read as weights") from error
    if not isinstance(found, spandrel().ImageModelDescriptor):
        raise ModelUnusable("it needs a mask beside the image")
    if (found.input_channels, found.output_channels) != (_COLOURS, _COLOURS):
        raise ModelUnusable("it does not work on colour images")
    if found.tiling != spandrel().ModelTiling.SUPPORTED:
        raise ModelUnusable("it looks at the whole picture, so that it cannot work in tiles")
    return found.model.eval(), _shape_of(found)


def identify(path: Path) -> Identity:
    """What an unknown file is. Never raises for its content: what cannot be used says why."""
    needed = {"openvino"} if path.suffix.lower() == ".onnx" else {"torch", "spandrel"}
    if absent := sorted(needed & set(missing_packages())):
        problem = f"{' and '.join(absent)} must be installed to look at it"
        return Identity("other", "unknown", problem=problem, can_pass=True)
    try:
        if path.suffix.lower() == ".onnx":
            _, shape = read_onnx(path)
        else:
            _, shape = load_torch(path)
    except ModelUnusable as error:
        return Identity("other", "unknown", problem=str(error))
    if shape.kind == "other":
        return Identity("other", shape.architecture, shape.scale, "it neither enlarges nor restores faces")
    return Identity(shape.kind, shape.architecture, shape.scale)


def read_onnx(path: Path) -> tuple[Any, ModelShape]:
    """An OpenVINO model of an ONNX file, and what it is. Raises ModelUnusable."""
    try:
        graph = openvino().Core().read_model(path)
    except RuntimeError as error:
        raise ModelUnusable("it cannot be read as ONNX") from error
    if {name for output in graph.outputs for name in output.get_names()} >= _YUNET_OUTPUTS:
        return graph, ModelShape("detector", "YuNet", 1)
    if _is_sface(graph):
        return graph, ModelShape("recogniser", "SFace", 1, side=_SFACE_INPUT[-1])
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelUnusable("it does not make one image of one image")
    side = _SAMPLE_SIDE
    fixed = graph.inputs[0].get_partial_shape()
    if len(fixed) == 4 and fixed[2].is_static and fixed[3].is_static:
        raise ModelUnusable("it takes images of one size only")
    try:
        sample = graph.clone()
        sample.reshape([1, _COLOURS, side, side])
        batch, channels, height, width = sample.outputs[0].get_shape()
    except (RuntimeError, ValueError) as error:
        raise ModelUnusable("it does not make an image of a colour image") from error
    scale, rest = divmod(height, side)
    if (batch, channels, height) != (1, _COLOURS, width) or rest or not scale:
        raise ModelUnusable("it does not make a larger image of a colour image")
    kind: Kind = "upscaler" if scale > 1 else "other"
    return graph, ModelShape(kind, "ONNX", scale, multiple_of=4, smallest=16)


def _is_sface(graph: Any) -> bool:
    """By the shapes of what goes in and comes out."""
    shapes = [port.get_partial_shape() for port in (*graph.inputs, *graph.outputs)]
    if len(graph.inputs) != 1 or any(shape.is_dynamic for shape in shapes):
        return False
    return [tuple(shape.to_shape()) for shape in shapes] == [_SFACE_INPUT, _SFACE_OUTPUT]


def _shape_of(found: Any) -> ModelShape:
    needs = found.size_requirements
    # Of the face models, only GFPGAN's way of cutting out and putting back is built in.
    kind: Kind = "upscaler" if found.purpose == "SR" and found.scale > 1 else "other"
    return ModelShape(
        kind,
        found.architecture.name,
        found.scale,
        multiple_of=max(needs.multiple_of, 1),
        smallest=max(needs.minimum, 1),
        half_precision=found.supports_half,
    )
