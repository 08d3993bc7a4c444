"""The provider of models on this machine, with small models in real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage import data as samples

from relume.engines import quantise as quantising
from relume.engines.detect import Colours, Points
from relume.engines.engine import EngineOptions
from relume.engines.weights import Identity, Weights
from relume.errors import JobCancelled, ProviderError
from relume.imaging.photo import Photo
from relume.imaging.resize import resize
from relume.ports import RunContext, StepReport
from relume.providers import local as module
from relume.providers.catalog import Catalog
from relume.providers.local import LocalProvider
from relume.recipes import build
from relume.settings import load_settings
from relume.tasks import Cartoonify, Denoise, RestoreFaces, Upscale
from tests.unit.engines.nets import compact, gfpgan, need_packages, put


def astronaut(width: int, height: int) -> Photo:
    return resize(Photo(np.asarray(samples.astronaut())), width, height)  # type: ignore[no-untyped-call]


def weights(kind: str, scale: int = 1, size: int = 10, name: str = "net.pth") -> Weights:
    identity = Identity(kind, "Net", scale)  # type: ignore[arg-type]
    return Weights(Path(name), f"{kind}{scale}{size}".ljust(64, "0"), size, identity, None)


def provider(*found: Weights) -> LocalProvider:
    return LocalProvider(found, EngineOptions(Path("nowhere")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upscaler whose result is the photo enlarged plainly, and a little noise; and a face model."""
    need_packages()
    path = tmp_path_factory.mktemp("local")
    put(compact(4), path / "weights", "up.pth")
    put(gfpgan(256), path / "weights", "faces.pth")
    return path


def real(folder: Path, **settings: object) -> LocalProvider:
    return LocalProvider.from_settings(
        load_settings(**{"weights_dir": folder / "weights", "storage_dir": str(folder / "data")} | settings)
    )


def test_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "no weights in WEIGHTS_DIR" in str(provider().unavailable())
    assert provider(weights("upscaler", 4)).unavailable() is None
    bare = LocalProvider([weights("upscaler", 4)], EngineOptions(tmp_path), absent=["torch"])
    assert "not installed (torch)" in str(bare.unavailable())
    assert not bare.supports(Upscale(4))
    assert "enlarge or restore" in str(provider(weights("detector")).unavailable())
    assert provider(weights("faces")).unavailable() is None
    monkeypatch.setattr(module, "has_cascade", lambda: False)
    assert "nothing that finds faces" in str(provider(weights("faces")).unavailable())
    assert provider(weights("faces"), weights("detector")).unavailable() is None


def test_does_what_its_weights_are_for() -> None:
    up, faces = provider(weights("upscaler", 4)), provider(weights("faces"))
    assert up.supports(Upscale(4))
    assert up.supports(Upscale(2))
    assert not up.supports(Upscale(3))
    assert not up.supports(RestoreFaces())
    assert faces.supports(RestoreFaces())
    assert faces.supports(RestoreFaces(region="eyes", faces=(0, 2)))
    assert not faces.supports(Upscale(2))
    assert not up.supports(Denoise())
    assert not up.supports(Cartoonify())


def test_a_model_for_twice_runs_twice_where_there_is_no_other() -> None:
    assert provider(weights("upscaler", 2)).supports(Upscale(4))


def test_a_recogniser_is_no_reason_to_be_used_and_makes_cached_results_outdated() -> None:
    assert "enlarge or restore" in str(provider(weights("recogniser")).unavailable())
    faces = weights("faces")
    assert provider(faces).fingerprint != provider(faces, weights("recogniser")).fingerprint


def test_other_weights_make_cached_results_outdated() -> None:
    assert provider(weights("upscaler", 2)).fingerprint != provider(weights("upscaler", 4)).fingerprint


async def test_enlarges_a_photo(folder: Path) -> None:
    photo = astronaut(96, 80)
    photo = Photo(photo.pixels, np.full((80, 96), 255, np.uint8))
    told: list[str] = []
    context = RunContext(on_progress=lambda _fraction, step: told.append(step))
    result = await real(folder).run(Upscale(2), photo, context)
    assert result.photo is not None
    assert result.photo.pixels.shape == (160, 192, 3)
    assert result.photo.alpha is not None
    assert (result.provider, result.model, result.generative) == ("local", "RealESRGAN Compact", True)
    assert len(result.version) == 12
    (credit,) = result.credits
    assert (credit.model, credit.version, credit.licence) == (result.model, result.version, "unknown")
    assert "Enlarged 2 times by RealESRGAN Compact" in result.steps[0].detail
    assert "upscale" in told


async def test_a_greyscale_photo_of_16_bits_stays_one(folder: Path) -> None:
    grey = np.asarray(astronaut(96, 80).pixels[:, :, :1], np.uint16) * 257
    result = await real(folder).run(Upscale(4), Photo(grey), RunContext())
    assert result.photo is not None
    assert result.photo.pixels.shape == (320, 384, 1)
    assert result.photo.pixels.dtype == np.uint16


async def test_restores_a_face_and_enlarges_the_rest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "verify", lambda _task, _photo, result: result
    )  # Its face is made of random weights.
    result = await real(folder).run(RestoreFaces(scale=1), astronaut(384, 384), RunContext())
    names = [step.name for step in result.steps]
    assert names[:3] == ["detect", "upscale", "restore_faces"]
    assert any("was restored" in step.detail for step in result.steps)
    assert result.model == "GFPGAN and RealESRGAN Compact"
    assert [credit.model for credit in result.credits] == ["GFPGAN", "RealESRGAN Compact"]


def _face_model(folder: Path) -> Weights:
    (found,) = (found for found in _scan(folder) if found.kind == "faces")
    return found


async def test_restores_the_eyes_of_the_face_that_was_asked_for(folder: Path, tmp_path: Path) -> None:
    """Its face is made of random weights, but of so little of it the photo stays the same picture."""
    local = LocalProvider([_face_model(folder)], EngineOptions(tmp_path))
    photo = astronaut(384, 384)
    all_faces = await local.run(RestoreFaces(region="eyes"), photo, RunContext())
    (restored,) = (step for step in all_faces.steps if step.changed)
    assert "at its eyes alone" in restored.detail
    assert all_faces.photo is not None
    changed = (all_faces.photo.pixels != photo.pixels).any(axis=2)
    assert 20 < changed.sum() < 2_000
    index = int(restored.detail.removeprefix("Face ").partition(",")[0])
    same = await local.run(RestoreFaces(region="eyes", faces=(index,)), photo, RunContext())
    assert same.photo is not None
    assert np.array_equal(same.photo.pixels, all_faces.photo.pixels)
    none = await local.run(RestoreFaces(faces=(99,)), photo, RunContext())
    assert none.photo is photo
    assert not none.changed
    assert none.credits == (), "the face model made nothing of it"
    assert [credit.model for credit in all_faces.credits] == ["GFPGAN"]
    assert "Face 99 was asked for" in none.steps[-1].detail


class Stranger:
    """Takes every two faces for two people's."""

    name = "Stranger"

    def similarity(self, before: Colours, after: Colours, points: Points) -> float:
        assert not np.array_equal(before, after)
        assert points.shape == (5, 2)
        return 0.1


async def test_a_face_that_is_another_persons_stays_as_it_was(folder: Path, tmp_path: Path) -> None:
    local = LocalProvider([_face_model(folder)], EngineOptions(tmp_path), recogniser=Stranger())
    photo = astronaut(384, 384)
    result = await local.run(RestoreFaces(), photo, RunContext())
    assert result.photo is photo
    assert not result.changed
    assert any("Stranger finds another person" in step.detail for step in result.steps)


async def test_a_recogniser_that_cannot_be_read_is_the_providers_fault(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "sface.onnx"
    broken.write_bytes(b"no graph")
    identity = Identity("recogniser", "SFace")
    recogniser = Weights(broken, "2" * 64, 8, identity, None)
    local = LocalProvider([_face_model(folder), recogniser], EngineOptions(tmp_path))
    with pytest.raises(ProviderError, match=r"cannot be used: OpenCV cannot read sface\.onnx"):
        await local.run(RestoreFaces(), astronaut(384, 384), RunContext())


async def test_what_is_another_picture_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same check that hosted models have to pass."""

    def spoil(around: Photo, *_others: object) -> tuple[Photo, tuple[StepReport, ...]]:
        noise = np.random.default_rng(1).integers(0, 256, around.pixels.shape, np.uint8)
        return around.with_pixels(noise), (StepReport("restore_faces", True, "", 1.0),)

    monkeypatch.setattr(module, "restore_faces", spoil)
    with pytest.raises(ProviderError, match="changed the photo too much"):
        await real(folder).run(RestoreFaces(), astronaut(200, 200), RunContext())


async def test_a_photo_without_a_face_stays_what_it_is_where_nothing_enlarges(
    folder: Path, tmp_path: Path
) -> None:
    found = [found for found in _scan(folder) if found.kind == "faces"]
    photo = Photo(np.full((80, 90, 3), 90, np.uint8))
    alone = LocalProvider(found, EngineOptions(tmp_path))
    result = await alone.run(RestoreFaces(), photo, RunContext())
    assert result.photo is photo
    assert not result.changed
    larger = await alone.run(RestoreFaces(scale=2), photo, RunContext())
    assert larger.photo is not None
    assert larger.photo.width == 180
    assert not larger.generative


async def test_a_cancelled_job_ends(folder: Path) -> None:
    context = RunContext()
    context.cancelled.set()
    with pytest.raises(JobCancelled):
        await real(folder).run(Upscale(4), astronaut(64, 64), context)


async def test_weights_that_vanish_are_the_providers_fault(folder: Path, tmp_path: Path) -> None:
    (found,) = (found for found in _scan(folder) if found.kind == "upscaler")
    gone = Weights(tmp_path / "gone.pth", "1" * 64, 1, found.identity, None)
    with pytest.raises(ProviderError, match="cannot be used"):
        await LocalProvider([gone], EngineOptions(tmp_path)).run(Upscale(4), astronaut(64, 64), RunContext())


@pytest.mark.timeout(400)
async def test_int8_comes_when_enough_photos_have_been_seen(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quantising, "ENOUGH_TILES", 10)
    local = real(folder, local_precision="int8", storage_dir=str(folder / "int8"))
    photo, other = astronaut(384, 288), astronaut(300, 400)
    first = await local.run(Upscale(2), photo, RunContext())
    assert "int8 waits for more photos: 8 tiles are here." in first.steps[0].detail
    second = await local.run(Upscale(2), other, RunContext())
    assert "10 tiles are here" in second.steps[0].detail
    third = await local.run(Upscale(2), photo, RunContext())
    assert "in int8 on the processor" in third.steps[0].detail
    assert first.photo is not None
    assert third.photo is not None
    error = np.mean((first.photo.pixels.astype(float) - third.photo.pixels.astype(float)) ** 2)
    assert 10 * np.log10(255**2 / error) > 35
    assert "Statistics" not in capsys.readouterr().out
    assert len(list((folder / "int8" / "models").glob("*-int8-*"))) == 1


def test_the_catalog_puts_it_before_the_built_in_restorer(folder: Path) -> None:
    settings = load_settings(weights_dir=folder / "weights", storage_dir=str(folder / "data"))
    catalog = Catalog(settings)
    assert catalog.chains()["upscale"] == ["local", "builtin"]
    assert catalog.lane(build("restoration/gfpgans-1.4")) == "local"
    assert sorted((kind, credit.model) for kind, credit in catalog.credits) == [
        ("faces", "GFPGAN"),
        ("upscaler", "RealESRGAN Compact"),
    ]
    only = Catalog(settings.model_copy(update={"provider": "local"}))
    assert [entry.name for entry in only.providers] == ["local"]


def test_whoever_cannot_choose_among_faces_is_passed_over(folder: Path) -> None:
    settings = load_settings(
        weights_dir=folder / "weights",
        storage_dir=str(folder / "data"),
        replicate_api_token="r8_secret",
        cog_faces_url="http://127.0.0.1:5000",
    )
    chain = Catalog(settings).chain(build("restoration/gfpgans-1.4"))
    whole = [provider.name for provider in chain.candidates(RestoreFaces())]
    assert whole == ["replicate", "cog", "local", "builtin"]
    for task in (RestoreFaces(region="eyes"), RestoreFaces(faces=(1,))):
        assert [provider.name for provider in chain.candidates(task)] == ["local", "builtin"]


def _scan(folder: Path) -> list[Weights]:
    from relume.engines.models import identify
    from relume.engines.weights import WeightsFolder

    return WeightsFolder(folder / "weights", folder / "index.json", identify).scan()
