"""What counts as success, and what is a failure though the provider said 200."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import cv2
import numpy as np
import pytest
from skimage import data as samples

from relume.errors import OutputInvalid
from relume.imaging.compare import fidelity
from relume.imaging.photo import Photo, Pixels
from relume.imaging.resize import resize
from relume.ports import Result, StepReport
from relume.providers.verify import LEAST_FIDELITY, verify
from relume.tasks import Cartoonify, GenerateText, RestoreFaces, TextToImage, Upscale

SAMPLE = samples.astronaut()  # type: ignore[no-untyped-call]


@pytest.fixture
def photo() -> Photo:
    return Photo(np.ascontiguousarray(SAMPLE[:256, 96:352]))


def gave(photo: Photo | None, **more: object) -> Result:
    return replace(Result(photo, "replicate", "Model", "1", generative=True), **more)  # type: ignore[arg-type]


def test_a_good_result_passes_untouched(photo: Photo) -> None:
    result = gave(resize(photo, 512, 512))
    assert verify(Upscale(2), photo, result) is result


def test_nothing_is_a_failure(photo: Photo) -> None:
    with pytest.raises(OutputInvalid, match="no image"):
        verify(Upscale(2), photo, gave(None))
    with pytest.raises(OutputInvalid, match="no text"):
        verify(GenerateText("x"), None, gave(None, text="  "))


def test_a_blank_image_is_a_failure_unless_the_photo_was_blank(photo: Photo) -> None:
    blank = Photo(np.full((512, 512, 3), 7, np.uint8))
    with pytest.raises(OutputInvalid, match="blank"):
        verify(Upscale(2), photo, gave(blank))
    with pytest.raises(OutputInvalid, match="blank"):
        verify(TextToImage("x"), None, gave(blank))
    small = Photo(np.full((256, 256, 3), 7, np.uint8))
    assert verify(Upscale(2), small, gave(blank)).photo is not None


def test_a_provider_that_tells_of_a_tiny_change_is_believed(photo: Photo) -> None:
    """Two eyes in a large photo are less than the rounding of a whole one."""
    pixels = photo.pixels.copy()
    pixels[100:103, 100:103] += 3
    step = StepReport("restore_faces", True, "Face 0 was restored.", 1.0)
    result = gave(photo.with_pixels(pixels), steps=(step,))
    assert verify(RestoreFaces(scale=1), photo, result) is result
    with pytest.raises(OutputInvalid, match="unchanged"):
        verify(RestoreFaces(scale=1), photo, replace(result, steps=(replace(step, changed=False),)))


def test_the_input_returned_is_a_failure(photo: Photo) -> None:
    with pytest.raises(OutputInvalid, match="unchanged"):
        verify(RestoreFaces(scale=1), photo, gave(photo.with_pixels(photo.pixels.copy())))
    with pytest.raises(OutputInvalid, match="wrong size"):
        verify(Upscale(2), photo, gave(photo))


def test_saying_that_nothing_was_needed_is_no_failure(photo: Photo) -> None:
    verify(RestoreFaces(scale=1), photo, gave(photo, changed=False))


def test_larger_is_allowed_another_shape_is_not(photo: Photo) -> None:
    verify(RestoreFaces(scale=2), photo, gave(resize(photo, 1024, 1024)))
    with pytest.raises(OutputInvalid, match="another shape"):
        verify(RestoreFaces(scale=2), photo, gave(resize(photo, 512, 640)))
    with pytest.raises(OutputInvalid, match="another shape"):
        verify(Cartoonify(), photo, gave(resize(photo, 256, 300)))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_trace_of_colour_is_removed_and_colours_are_refused(photo: Photo, channels: int) -> None:
    grey = cv2.cvtColor(photo.pixels, cv2.COLOR_RGB2GRAY)[:, :, np.newaxis]
    before = Photo(cast("Pixels", np.repeat(grey, channels, axis=2)))
    tinted = resize(Photo(cast("Pixels", np.repeat(grey, 3, axis=2))), 512, 512)
    trace = tinted.with_pixels(cv2.add(tinted.pixels, np.array([3, 0, 0, 0], np.float64)).astype(np.uint8))
    kept = verify(Upscale(2), before, gave(trace)).photo
    assert kept is not None
    assert kept.pixels.shape[2] == channels
    assert np.ptp(kept.pixels, axis=2).max() == 0
    with pytest.raises(OutputInvalid, match="colours"):
        verify(Upscale(2), before, gave(resize(photo, 512, 512)))


def test_a_face_that_strays_too_far_is_blended_down(photo: Photo) -> None:
    strange = photo.pixels.copy()
    face = strange[40:150, 80:170]
    strange[40:150, 80:170] = cv2.addWeighted(face, 0.2, cv2.flip(face, 0), 0.8, 0)
    after = resize(Photo(strange), 512, 512)
    before_guard = fidelity(photo, after)
    assert before_guard < LEAST_FIDELITY
    result = verify(RestoreFaces(scale=2), photo, gave(after))
    assert result.photo is not None
    assert fidelity(photo, result.photo) >= LEAST_FIDELITY
    assert result.steps[-1].name == "fidelity_guard"
    assert f"{before_guard:.2f}" in result.steps[-1].detail


def test_another_picture_is_refused(photo: Photo) -> None:
    other = Photo(np.ascontiguousarray(255 - SAMPLE[256:512, 256:512][::-1]))
    with pytest.raises(OutputInvalid, match="too much"):
        verify(Upscale(2), photo, gave(resize(other, 512, 512)))
