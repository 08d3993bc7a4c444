"""The official client takes our double for Replicate: so what our own client says to it is the true wire."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from relume.picture_models import FLUX_SCHNELL
from relume.providers.replicate_models import GFPGAN, MODELS, REAL_ESRGAN
from tests import photos
from tests.doubles.replicate import ReplicateDouble
from tests.doubles.script import Fault, Plan
from tests.peers import missing

VERSION = MODELS[REAL_ESRGAN].version
REFERENCE = f"{REAL_ESRGAN}:{VERSION}"


@pytest.fixture
def double() -> Iterator[ReplicateDouble]:
    with ReplicateDouble() as running:
        yield running


@pytest.fixture
def official(double: ReplicateDouble) -> Iterator[Any]:
    try:
        from replicate.client import Client
    except ImportError:
        missing("the replicate package")
    client = Client(api_token="secret", base_url=double.url)
    yield client
    client._client.close()


def photo() -> io.BytesIO:
    return io.BytesIO(photos.encoded("PNG"))


def test_it_runs_a_pinned_model(double: ReplicateDouble, official: Any) -> None:
    double.plan(Plan(output="data"))
    output = official.run(REFERENCE, input={"image": photo(), "scale": 2})
    assert photos.opened(output.read()).size == (128, 96)
    assert double.received[-1].authorization == "Bearer secret"


def test_it_runs_an_official_model(double: ReplicateDouble, official: Any) -> None:
    double.plan(Plan(output="data"))
    outputs = official.run(FLUX_SCHNELL, input={"prompt": "a dog"})
    assert [photos.opened(output.read()).size for output in outputs] == [(256, 256)]


def test_it_creates_waits_and_reads_the_result(double: ReplicateDouble, official: Any) -> None:
    prediction = official.predictions.create(version=VERSION, input={"image": photo(), "scale": 3})
    assert prediction.status == "starting"
    assert double.counts["upload"] == 1, "a file goes by POST /v1/files"
    prediction.wait()
    assert prediction.status == "succeeded"
    assert prediction.metrics["predict_time"] > 0
    assert prediction.progress.percentage == 0.5
    assert photos.opened(httpx.get(prediction.output, trust_env=False).content).size == (192, 144)
    assert official.predictions.get(prediction.id).output == prediction.output


def test_it_uploads_files(official: Any) -> None:
    file = official.files.create(photo(), filename="photo.png", content_type="image/png")
    assert file.urls["get"].endswith(file.id)
    assert file.content_type == "image/png"


def test_it_cancels(double: ReplicateDouble, official: Any) -> None:
    double.plan(Plan(ends="never"))
    prediction = official.predictions.create(version=VERSION, input={"image": photo()})
    prediction.reload()
    assert prediction.status == "processing"
    prediction.cancel()
    prediction.reload()
    assert prediction.status == "canceled"


@pytest.mark.parametrize("ends", ["failed", "canceled"])
def test_it_is_told_of_failures(double: ReplicateDouble, official: Any, ends: Any) -> None:
    double.plan(Plan(ends=ends))
    prediction = official.predictions.create(version=VERSION, input={"image": photo()})
    while not (reloaded := official.predictions.get(prediction.id)).completed_at:
        pass
    assert reloaded.status == ends
    assert reloaded.error == ("CUDA out of memory in /src/predict.py" if ends == "failed" else None)


@pytest.mark.parametrize("status", [402, 422])
def test_it_raises_on_problems(double: ReplicateDouble, official: Any, status: int) -> None:
    from replicate.exceptions import ReplicateError

    double.fail(Fault(call="create", status=status, body='{"detail": "No", "status": 0}'))
    with pytest.raises(ReplicateError) as caught:
        official.predictions.create(version=VERSION, input={"image": photo()})
    assert caught.value.detail == "No"


def test_it_is_refused_what_replicate_refuses(official: Any) -> None:
    from replicate.exceptions import ReplicateError

    with pytest.raises(ReplicateError, match="could not be found"):
        official.models.predictions.create(model=GFPGAN, input={"img": "data:,"})
    with pytest.raises(ReplicateError, match="image is required"):
        official.predictions.create(version=VERSION, input={})
    with pytest.raises(ReplicateError, match="version"):
        official.predictions.create(version="latest", input={})


def test_it_runs_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.doubles.replicate", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with httpx.Client(base_url=url, trust_env=False, headers={"Authorization": "Bearer x"}) as client:
            client.post("/control/faults", json={"call": "create", "status": 402}).raise_for_status()
            client.post("/control/plans", json={"ends": "aborted"}).raise_for_status()
            body = {"version": VERSION, "input": {"image": "data:,"}}
            assert client.post("/v1/predictions", json=body).status_code == 402
            assert client.post("/v1/predictions", json=body).status_code == 201
            state = client.get("/control/state").json()
        process.terminate()
    assert state["counts"] == {"create": 2}
    assert state["predictions"][0]["model"] == REAL_ESRGAN
