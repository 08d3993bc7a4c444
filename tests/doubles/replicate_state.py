"""The predictions and files of the Replicate double. No HTTP here."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from relume.picture_models import FLUX_SCHNELL, STABLE_DIFFUSION
from relume.providers.replicate_models import MODELS
from tests.doubles import pictures
from tests.doubles.script import Call, Fault, Plan, Received

_BY_VERSION = {model.version: model.address for model in MODELS.values() if model.version}
_LISTS = frozenset({FLUX_SCHNELL, STABLE_DIFFUSION})
_IMAGE_FIELDS = ("img", "image")


class BadInput(Exception):
    """Answered with 422."""


@dataclass
class Prediction:
    id: str
    model: str
    version: str
    input: dict[str, Any]
    plan: Plan
    ends_at: float
    created_at: str = field(default_factory=lambda: _now())
    status: str = "starting"
    output: Any = None
    error: str | None = None
    completed_at: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def has_ended(self) -> bool:
        return self.completed_at is not None

    @property
    def has_run(self) -> bool:
        """Whether there is something to pay for: `aborted` is what never started."""
        return self.has_ended and self.status != "aborted"


@dataclass
class ReplicateState:
    latency_seconds: float = 0.05
    faults: list[Fault] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    predictions: dict[str, Prediction] = field(default_factory=dict)
    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        for kept in (self.faults, self.plans, self.predictions, self.files, self.received, self.counts):
            kept.clear()

    def next_fault(self, call: Call) -> Fault | None:
        for fault in self.faults:
            if fault.call == call and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def create(self, input_: dict[str, Any], *, version: str | None, model: str | None) -> Prediction:
        """Raises BadInput for what Replicate answers with 422, KeyError for an unknown model."""
        if model is None:
            hash_ = str(version).rpartition(":")[2]
            if len(hash_) != 64:
                raise BadInput("- version: Does not match format 'version'")
            model = _BY_VERSION.get(hash_) or str(version).partition(":")[0]
        elif model not in MODELS or MODELS[model].version:
            raise KeyError(model)
        self._check(model, input_)
        plan = self._next_plan(model)
        latency = self.latency_seconds if plan.latency_seconds is None else plan.latency_seconds
        ends_at = time.monotonic() + latency
        prediction = Prediction(secrets.token_hex(13), model, str(version or ""), input_, plan, ends_at)
        self.predictions[prediction.id] = prediction
        return prediction

    def look(self, id_: str, base_url: str) -> Prediction:
        """A prediction as it now stands. Raises KeyError."""
        prediction = self.predictions[id_]
        with prediction.lock:
            if not prediction.has_ended:
                prediction.status = "processing"
                if prediction.plan.ends != "never" and time.monotonic() >= prediction.ends_at:
                    self._end(prediction, base_url)
        return prediction

    def cancel(self, id_: str) -> Prediction:
        prediction = self.predictions[id_]
        if not prediction.has_ended:
            prediction.status, prediction.completed_at = "canceled", _now()
        return prediction

    def keep_file(self, data: bytes, media_type: str, extension: str = "png") -> str:
        name = f"{secrets.token_urlsafe(12)}.{extension}"
        self.files[name] = (data, media_type)
        return name

    def _check(self, model: str, input_: dict[str, Any]) -> None:
        needs = "prompt" if model in _LISTS or model not in MODELS else None
        if needs and needs not in input_:
            raise BadInput(f"- input: {needs} is required")
        if model in MODELS and not needs and not any(name in input_ for name in _IMAGE_FIELDS):
            raise BadInput("- input: image is required")

    def _next_plan(self, model: str) -> Plan:
        for plan in self.plans:
            if plan.model in (None, model) and plan.times != 0:
                if plan.times is not None:
                    plan.times -= 1
                return plan
        return Plan()

    def _end(self, prediction: Prediction, base_url: str) -> None:
        prediction.completed_at = _now()
        prediction.status = prediction.plan.ends
        if prediction.status == "succeeded":
            prediction.output = self._output(prediction, base_url)
        elif prediction.status == "failed":
            prediction.error = prediction.plan.error

    def _output(self, prediction: Prediction, base_url: str) -> Any:
        kind = prediction.plan.output
        if kind in ("null", "erased"):
            return None
        if kind == "empty":
            return []
        data = self._picture(prediction)
        if kind == "html":
            url = f"{base_url}/output/{self.keep_file(b'<html>Not here</html>', 'text/html', 'html')}"
        elif kind == "data":
            url = pictures.to_data_uri(data)
        elif kind == "elsewhere":
            url = f"http://127.0.0.2:9/output/{self.keep_file(data, 'image/png')}"
        else:
            extension = str(prediction.input.get("output_format", "png"))
            data = pictures.encoded_as(data, extension)
            url = f"{base_url}/output/{self.keep_file(data, f'image/{extension}', extension)}"
        if kind == "object":
            return {"url": url}
        as_list = prediction.plan.as_list
        return [url] if (prediction.model in _LISTS if as_list is None else as_list) else url

    def _picture(self, prediction: Prediction) -> bytes:
        asked = prediction.input
        source = next((asked[name] for name in _IMAGE_FIELDS if name in asked), None)
        if source is None:
            seed = int(asked.get("seed") or len(asked["prompt"]))
            width, height = _size(asked)
            picture = pictures.painted(width, height, seed)
            return pictures.blank(picture, 1) if prediction.plan.output == "blank" else picture
        photo, scale = self._read(source), float(asked.get("scale", 1))
        if prediction.plan.output == "input":
            return photo
        if prediction.plan.output == "blank":
            return pictures.blank(photo, scale)
        return pictures.made_from(photo, scale)

    def _read(self, source: str) -> bytes:
        if source.startswith("data:"):
            return pictures.from_data_uri(source)
        return self.files[urlsplit(source).path.rpartition("/")[2]][0]


def _size(asked: dict[str, Any]) -> tuple[int, int]:
    if "width" in asked:
        return int(asked["width"]), int(asked["height"])
    across, _, down = str(asked.get("aspect_ratio", "1:1")).partition(":")
    longest = max(int(across), int(down))
    return 256 * int(across) // longest, 256 * int(down) // longest


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
