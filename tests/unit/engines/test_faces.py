"""Faces: found, cut out upright, put back, and left alone where that is better."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data as samples

from relume.engines.cuda import TorchEngine
from relume.engines.detect import Box, Cascade, Colours, Face, Points, YuNet
from relume.engines.faces import FaceRules, FoundFaces, IdentityCheck, find_faces, restore_faces
from relume.engines.faces_crop import alignment
from relume.engines.identity import SFace
from relume.engines.models import ModelShape, load_torch
from relume.errors import JobCancelled
from relume.imaging.photo import Photo
from relume.ports import RunContext
from relume.tasks import RestoreFaces
from tests.unit.engines.nets import gfpgan, need_packages, put
from tests.unit.engines.test_enlarge import Doubling

POINTS = np.array([[192.98, 239.95], [318.9, 240.19], [256.63, 314.02], [201.26, 371.41], [313.09, 371.15]])


class Keeping(Doubling):
    """Gives back what it gets, or one colour."""

    def __init__(self, side: int = 512, colour: float | None = None) -> None:
        super().__init__(1)
        self.shape = ModelShape("faces", "Keep", 1, side=side)
        self.colour = colour

    def run(self, images: Any) -> Any:
        self.given.append(images.shape)
        return images.copy() if self.colour is None else np.full_like(images, self.colour)


def astronaut() -> Photo:
    return Photo(np.asarray(samples.astronaut()))  # type: ignore[no-untyped-call]


def face(
    scale: float = 0.5, turn_degrees: float = 0.0, move: tuple[float, float] = (60, 40), **changes: Any
) -> Face:
    turn = np.deg2rad(turn_degrees)
    matrix = scale * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = (POINTS @ matrix + move).astype(np.float32)
    width = changes.get("width", 200 * scale)
    left, top = points.mean(0) - width / 2
    return Face(points, Box(float(left), float(top), width, 1.25 * width), changes.get("confidence", 0.9))


def restored(
    photo: Photo,
    *faces: Face,
    engine: Any = None,
    rules: FaceRules | None = None,
    growth: float = 1,
    original: Photo | None = None,
    **wish: Any,
) -> Any:
    """`original`: compare the faces with those in it."""
    found = FoundFaces("Test", faces)
    identity = None if original is None else IdentityCheck(Correlation(), original)
    return restore_faces(
        photo,
        found,
        growth,
        engine or Keeping(),
        rules or FaceRules(),
        RunContext(),
        RestoreFaces(**wish),
        identity,
    )


class Correlation:
    """Takes faces for one person's where their pixels go together."""

    name = "Correlation"

    def similarity(self, before: Colours, after: Colours, points: Points) -> float:
        assert before.shape == after.shape
        assert np.abs(points - POINTS * before.shape[0] / 512).max() < 0.1
        first, second = (crop.astype(float).ravel() - crop.mean() for crop in (before, after))
        return float(first @ second / max(np.sqrt(first @ first) * np.sqrt(second @ second), 1.0))


@pytest.mark.parametrize(("scale", "turn"), [(1.0, 0.0), (0.3, 25.0), (2.5, -40.0), (0.7, 170.0)])
def test_alignment_undoes_size_turn_and_place(scale: float, turn: float) -> None:
    matrix = alignment(face(scale, turn).points, 512)
    assert matrix is not None
    back = np.column_stack([face(scale, turn).points, np.ones(5)]) @ matrix.T
    assert np.abs(back - POINTS).max() < 0.01


def test_points_in_one_place_have_no_alignment() -> None:
    assert alignment(np.ones((5, 2), np.float32), 512) is None


def test_the_cascade_that_needs_no_download_finds_a_face() -> None:
    found = find_faces(astronaut(), Cascade())
    (first, *_) = found.faces
    eyes = first.points[:2]
    assert np.abs(eyes.mean(0) - (222, 105)).max() < 25
    assert 60 < first.width < 160


def test_nothing_is_found_where_nothing_is() -> None:
    assert find_faces(Photo(np.full((200, 300, 1), 128, np.uint8)), Cascade()).faces == ()


def test_a_model_that_keeps_its_input_changes_next_to_nothing() -> None:
    photo = Photo(np.asarray(cv2.GaussianBlur(astronaut().pixels, (0, 0), 2), np.uint8))
    made, (report,) = restored(photo, face(0.9, 15, (0, 30)))
    assert report.changed
    difference = np.abs(made.pixels.astype(int) - photo.pixels.astype(int))
    assert difference.mean() < 1.0


@pytest.mark.parametrize("turn", [0.0, 30.0])
def test_pixels_outside_the_mask_are_identical(turn: float) -> None:
    photo = Photo(np.random.default_rng(2).integers(0, 256, (400, 420, 3), np.uint8))
    here = face(0.4, turn, (100, 100))
    made, _ = restored(photo, here, engine=Keeping(colour=1.0))
    changed = (made.pixels != photo.pixels).any(axis=2)
    matrix = alignment(here.points, 512)
    assert matrix is not None
    rows, columns = np.nonzero(changed)
    inside = np.column_stack([columns, rows, np.ones(len(rows))]) @ matrix.T
    assert len(rows) > 10_000
    assert inside.min() > 0
    assert inside.max() < 512
    assert (made.pixels[int(here.points[2, 1]), int(here.points[2, 0])] == 255).all()
    assert photo.pixels.mean() < 140  # The photo itself was not written to.


def test_the_restored_face_fades_into_the_photo() -> None:
    photo = Photo(np.zeros((512, 512, 1), np.uint8))
    made, _ = restored(photo, face(1.0, 0, (0, 0)), engine=Keeping(colour=1.0))
    row = made.pixels[256, :256, 0].astype(int)
    assert np.diff(row).max() <= 16
    assert row[0] == 0
    assert row[-1] == 255


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_depth_and_alpha_stay(dtype: Any, channels: int) -> None:
    pixels = np.full((300, 300, channels), np.iinfo(dtype).max // 4, dtype)
    alpha = np.full((300, 300), 7, dtype)
    made, _ = restored(Photo(pixels, alpha), face(0.5, 0, (0, 0)), engine=Keeping(colour=0.5))
    assert made.pixels.shape == pixels.shape
    assert made.pixels.dtype == dtype
    assert made.alpha is alpha
    assert abs(int(made.pixels[150, 130, 0]) - np.iinfo(dtype).max // 2) <= np.iinfo(dtype).max // 200


def test_faces_are_found_in_the_photo_and_put_into_the_larger_one() -> None:
    photo = Photo(np.zeros((600, 600, 3), np.uint8))
    made, _ = restored(photo, face(0.25, 0, (50, 100)), engine=Keeping(colour=1.0), growth=2)
    rows, columns = np.nonzero(made.pixels[..., 0] > 127)
    centre = 2 * (np.array([50, 100]) + 64)
    assert np.abs([columns.mean() - centre[0], rows.mean() - centre[1]]).max() < 3


@pytest.mark.parametrize(
    ("left_alone", "reason"),
    [
        (face(0.5, confidence=0.6), "too uncertain"),
        (face(0.15, width=39), "smaller than 40 pixels"),
        (face(3.0), "more detail than the model"),
        (Face(np.ones((5, 2), np.float32), Box(0, 0, 100, 100), 0.9), "were not found"),
    ],
)
def test_faces_that_are_better_left_alone(left_alone: Face, reason: str) -> None:
    photo, engine = astronaut(), Keeping(colour=1.0)
    made, (report,) = restored(photo, left_alone, engine=engine)
    assert made is photo
    assert reason in report.detail
    assert not report.changed
    assert engine.given == []


def test_each_face_has_its_report() -> None:
    faces = (face(0.4, 0, (250, 250)), face(0.4, 0, (0, 0)), face(0.1, 0, (150, 40), width=20))
    _, reports = restored(astronaut(), *faces)
    assert [report.changed for report in reports] == [True, False, True]
    assert [report.detail.partition(",")[0] for report in reports] == ["Face 0", "Face 1", "Face 2"]
    assert reports[2].detail == ("Face 2, 80 by 100 pixels with its corner at (313, 333), was restored.")
    _, (none,) = restored(astronaut())
    assert (none.changed, none.detail) == (False, "Test found no face.")


def test_a_face_at_the_border_is_restored_as_far_as_it_is_there() -> None:
    photo = Photo(np.zeros((200, 200, 3), np.uint8))
    made, (report,) = restored(photo, face(0.5, 0, (-128, -128)), engine=Keeping(colour=1.0))
    assert report.changed
    assert made.pixels[0, 0, 0] == 255
    assert made.pixels[199, 199, 0] == 0
    outside, _ = restored(photo, face(0.5, 0, (-900, 0)), engine=Keeping(colour=1.0))
    assert not outside.pixels.any()


def test_a_cancel_takes_hold_between_faces() -> None:
    cancelled = threading.Event()
    engine = Keeping()
    context = RunContext(cancelled=cancelled, on_progress=lambda *_: cancelled.set())
    with pytest.raises(JobCancelled):
        restore_faces(astronaut(), FoundFaces("Test", (face(), face())), 1, engine, FaceRules(), context)
    assert len(engine.given) == 1


def test_a_gfpgan_of_small_width_restores_a_face(tmp_path: Path) -> None:
    need_packages()
    engine = TorchEngine(*load_torch(put(gfpgan(256), tmp_path).path), "cpu")
    photo = astronaut()
    found = find_faces(photo, Cascade())
    made, reports = restore_faces(photo, found, 1, engine, FaceRules(), RunContext())
    assert reports[0].changed
    left, top = (found.faces[0].points.mean(0) - 20).astype(int)
    assert (
        made.pixels[top : top + 40, left : left + 40] != photo.pixels[top : top + 40, left : left + 40]
    ).mean() > 0.5
    assert np.array_equal(made.pixels[300:], photo.pixels[300:])


def test_yunets_answers_are_read_as_it_gives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows: a box, then five points beginning with the eye on the left, then how sure it is."""
    sizes: list[Any] = []

    class Net:
        def setInputSize(self, size: Any) -> None:  # noqa: N802 (OpenCV's name)
            sizes.append(size)

        def detect(self, image: Any) -> Any:
            assert image.shape[:2] == (640, 1280)
            rows = [[10, 20, 100, 120, *range(10), 0.8], [0, 0, 50, 60, *range(10, 20), 0.95]]
            return 1, np.array(rows, np.float32)

    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_arguments: Net())
    faces = YuNet(Path("yunet.onnx")).find(np.zeros((1280, 2560, 3), np.uint8))
    assert sizes == [(1280, 640)]
    assert [round(found.confidence, 2) for found in faces] == [0.95, 0.8]
    assert [found.width for found in faces] == [100.0, 200.0]
    assert list(faces[1].box) == [20, 40, 200, 240]
    assert faces[1].points.tolist() == [[0, 2], [4, 6], [8, 10], [12, 14], [16, 18]]


def in_crop(face: Face, changed: Any) -> Any:
    """(n, 2): where the changed pixels lie in the model's crop."""
    matrix = alignment(face.points, 512)
    assert matrix is not None
    rows, columns = np.nonzero(changed)
    return np.column_stack([columns, rows, np.ones(len(rows))]) @ matrix.T


@pytest.mark.parametrize("turn", [0.0, 35.0])
def test_eyes_alone(turn: float) -> None:
    photo = Photo(np.random.default_rng(3).integers(0, 200, (400, 420, 3), np.uint8))
    here = face(0.5, turn, (100, 130))
    made, (report,) = restored(photo, here, engine=Keeping(colour=1.0), region="eyes")
    assert report.detail.endswith("was restored at its eyes alone.")
    eyes = here.points[:2].astype(int)
    assert all((made.pixels[y, x] == 255).all() for x, y in eyes)
    changed = in_crop(here, (made.pixels != photo.pixels).any(axis=2))
    away = np.minimum(*(np.hypot(*(changed - eye).T) for eye in POINTS[:2]))
    apart = np.hypot(*(POINTS[1] - POINTS[0]))
    assert len(changed) > 1_000
    assert away.max() < 0.4 * apart
    assert np.abs(changed[:, 1] - POINTS[0, 1]).max() < 0.28 * apart


def test_the_eyes_fade_into_the_face() -> None:
    photo = Photo(np.zeros((512, 512, 1), np.uint8))
    made, _ = restored(photo, face(1.0, 0, (0, 0)), engine=Keeping(colour=1.0), region="eyes")
    row = made.pixels[240, :, 0].astype(int)
    assert np.abs(np.diff(row)).max() <= 24
    assert row.max() == 255
    assert row[256] == 0, "the bridge of the nose stays"


def test_only_the_faces_that_were_asked_for() -> None:
    """The most certain comes first from the detector; clients count by place."""
    right, left, below = face(0.3, 0, (300, 0)), face(0.3, 0, (0, 0)), face(0.3, 0, (0, 300))
    photo = Photo(np.zeros((512, 512, 3), np.uint8))
    made, reports = restored(photo, right, left, below, engine=Keeping(colour=1.0), faces=(1, 2, 7))
    assert [report.changed for report in reports] == [False, True, True, False]
    assert reports[0].detail.endswith("was left alone: it was not asked for.")
    assert reports[3].detail == "Face 7 was asked for, but 3 faces were found, counted from 0."
    lit = [
        bool(made.pixels[tuple(found.points[2].astype(int)[::-1])].any()) for found in (left, below, right)
    ]
    assert lit == [False, True, True]
    same, (*_, absent) = restored(photo, left, faces=(1,))
    assert same is photo
    assert absent.detail == "Face 1 was asked for, but 1 face was found, counted from 0."


@pytest.mark.parametrize("growth", [1, 2])
def test_a_face_that_stays_the_same_persons_is_kept(growth: int) -> None:
    original = Photo(np.asarray(cv2.GaussianBlur(astronaut().pixels, (0, 0), 2), np.uint8))
    size = (512 * growth, 512 * growth)
    around = Photo(np.asarray(cv2.resize(original.pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8))
    made, (report,) = restored(around, face(0.4, 10, (100, 30)), growth=growth, original=original)
    assert report.changed
    assert "Correlation finds the same person in it (similarity 1.0" in report.detail
    assert made is not around


def test_a_face_that_becomes_another_persons_is_left_as_it_was() -> None:
    photo = astronaut()

    class Inverting(Keeping):
        """Of one face a negative."""

        def run(self, images: Any) -> Any:
            kept = super().run(images)
            return 1 - kept if len(self.given) == 1 else kept

    first, second = face(0.4, 0, (0, 0)), face(0.4, 0, (250, 250))
    made, reports = restored(photo, first, second, engine=Inverting(), original=photo)
    assert [report.changed for report in reports] == [False, True]
    assert "was left as it was: Correlation finds another person in the restored one" in reports[0].detail
    assert "0.363 is needed" in reports[0].detail
    assert np.array_equal(made.pixels[:220, :220], photo.pixels[:220, :220])
    assert not np.array_equal(made.pixels, photo.pixels)
    alone, _ = restored(photo, first, engine=Inverting(), original=photo)
    assert alone is photo


def test_identity_is_no_matter_for_a_face_outside_the_photo() -> None:
    photo = astronaut()
    _, (report,) = restored(photo, face(0.5, 0, (-900, 0)), original=photo)
    assert report.detail.endswith("was restored.")


def test_without_a_recogniser_the_report_is_silent_about_it() -> None:
    _, (report,) = restored(astronaut(), face(0.4))
    assert report.detail.endswith("was restored.")


def test_sface_is_asked_as_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blue first, a row as YuNet gives it, and what it gives copied before the next face."""
    rows: list[Any] = []

    class Net:
        shared = np.zeros((1, 2), np.float32)

        def alignCrop(self, image: Any, row: Any) -> Any:  # noqa: N802 (OpenCV's name)
            rows.append(row)
            return image[:2, :2]

        def feature(self, upright: Any) -> Any:
            self.shared[:] = upright[0, 0, 0], upright[0, 0, 2]
            return self.shared

        def match(self, first: Any, second: Any, kind: int) -> float:
            assert kind == cv2.FaceRecognizerSF_FR_COSINE
            return float(first[0] @ second[0])

    monkeypatch.setattr(cv2.FaceRecognizerSF, "create", lambda *_arguments: Net())
    before, after = np.zeros((2, 64, 64, 3), np.uint8)
    before[..., 2] = 3
    after[..., 2], after[..., 0] = 5, 7
    points = np.arange(10, dtype=np.float32).reshape(5, 2)
    assert SFace(Path("sface.onnx")).similarity(before, after, points) == 15
    assert rows[0].tolist() == [[0, 0, 64, 64, *range(10), 1]]
