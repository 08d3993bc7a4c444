"""Photos that ordinary Python packages bring along, by the packages' own files. Nothing is downloaded here.

Training takes what it finds: scikit-image, gradio, and the source distribution of OpenCV where `--opencv-source`
names its unpacked folder. The held-out six (scikit-learn's, matplotlib's and three of scikit-image's) are for
evaluation only and never among them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

HELD_OUT = {
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}

_PACKAGED = {
    "skimage": ("data/motorcycle_left.png", "data/rocket.jpg", "data/ihc.png", "data/retina.jpg"),
    "gradio": (
        "media_assets/images/cheetah.jpg",
        "media_assets/images/cheetah1.jpg",
        "media_assets/images/lion.jpg",
        "media_assets/images/tower.jpg",
        "test_data/cheetah2.jpg",
    ),
}

# Photos only: no drawings, no screenshots, none that is pale or has a cast, as they are to be the truth.
_OPENCV = (
    *(
        f"samples/data/{name}"
        for name in (
            "aloeL.jpg",
            "baboon.jpg",
            "board.jpg",
            "building.jpg",
            "butterfly.jpg",
            "castle.jpg",
            "chicky_512.png",
            "fruits.jpg",
            "graf1.png",
            "home.jpg",
            "leuvenA.jpg",
            "rubberwhale1.png",
            "squirrel_cls.jpg",
        )
    ),
    "samples/cpp/tutorial_code/calib3d/real_time_pose_estimation/Data/resized_IMG_3875.JPG",
    "samples/dnn/dnn_model_runner/dnn_conversion/paddlepaddle/data/cat.jpg",
    "samples/java/sbt/src/main/resources/AverageMaleFace.jpg",
    "samples/winrt/FaceDetection/FaceDetection/Assets/group3.jpg",
    "doc/py_tutorials/py_photo/py_hdr/images/fusion_mertens.jpg",
    "doc/tutorials/app/images/astra_color.jpg",
    "doc/tutorials/dnn/dnn_pytorch_tf_detection/images/pexels_double_decker_bus.jpg",
    "doc/tutorials/dnn/dnn_text_spotting/detect_test2.jpg",
    "doc/tutorials/objdetect/aruco_board_detection/images/gboriginal.jpg",
    "doc/tutorials/others/images/Background_Subtraction_Tutorial_frame.jpg",
    "doc/tutorials/others/images/boat.jpg",
)


def held_out() -> dict[str, Image]:
    """By name, RGB: those of the six whose package is installed."""
    found = {name: packaged(*where) for name, where in HELD_OUT.items()}
    return {name: read(path) for name, path in found.items() if path is not None}


def for_training(opencv_source: Path | None, without: Collection[str] = ()) -> list[Image]:
    """RGB. `opencv_source`: the folder of OpenCV's unpacked source distribution; `without`: files by their stems."""
    paths = [packaged(package, name) for package, names in _PACKAGED.items() for name in names]
    if opencv_source is not None:
        (root,) = [folder for folder in (opencv_source, *opencv_source.glob("*")) if folder.name == "opencv"]
        paths += [root / name for name in _OPENCV]
    return [read(path) for path in paths if path is not None and path.exists() and path.stem not in without]


def read(path: Path) -> Image:
    """(height, width, 3), RGB."""
    loaded: Any = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if loaded is None:
        raise FileNotFoundError(path)
    return np.ascontiguousarray(loaded[..., ::-1])


def packaged(package: str, name: str) -> Path | None:
    """A file that an installed package brings along; None where it is not here."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / name
    return path if path.exists() else None
