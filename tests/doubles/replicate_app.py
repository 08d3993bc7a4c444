"""The HTTP of the Replicate double."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from relume.providers.replicate_models import MODELS
from tests.doubles.replicate_state import BadInput, Prediction, ReplicateState
from tests.doubles.script import Call, Fault, Plan, Received

_PREDICT_SECONDS = 8.0
"""What `metrics.predict_time` says of every prediction that has run."""


class _BrokenOff(Response):
    """Promises a body and ends the connection instead."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"100"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


def build_app(state: ReplicateState) -> FastAPI:
    app = FastAPI()
    _add_predictions(app, state)
    _add_files(app, state)
    _add_control(app, state)
    return app


def _add_predictions(app: FastAPI, state: ReplicateState) -> None:
    @app.post("/v1/predictions")
    async def create(request: Request) -> Response:
        body = await request.json()
        return await begin(request, body, version=body.get("version"), model=None)

    @app.post("/v1/models/{owner}/{name}/predictions")
    async def create_official(owner: str, name: str, request: Request) -> Response:
        return await begin(request, await request.json(), version=None, model=f"{owner}/{name}")

    async def begin(
        request: Request, body: dict[str, Any], *, version: str | None, model: str | None
    ) -> Response:
        fault = _received(state, request, "create")
        if fault is not None and not fault.breaks_off:
            return await _answer(fault)
        try:
            prediction = state.create(body.get("input", {}), version=version, model=model)
        except BadInput as error:
            return _problem(422, "Input validation failed", str(error))
        except KeyError:
            return _problem(404, "Not found", "The requested resource could not be found.")
        if fault is not None:
            return await _answer(fault)
        if request.headers.get("Prefer", "").startswith("wait"):
            await _until_ended(state, prediction, _base(request))
        return JSONResponse(_json(prediction, _base(request)), 201)

    @app.get("/v1/predictions/{id_}")
    async def get(id_: str, request: Request) -> Response:
        fault = _received(state, request, "get")
        if fault is not None:
            return await _answer(fault)
        return await _shown(state, id_, _base(request))

    @app.get("/v1/models/{owner}/{name}/versions/{id_}")
    async def show_version(owner: str, name: str, id_: str) -> Response:
        model = MODELS.get(f"{owner}/{name}")
        if model is None or model.version != id_:
            return _problem(404, "Not found", "The requested resource could not be found.")
        described = {"id": id_, "created_at": "2024-01-01T00:00:00Z", "cog_version": "0.9.4"}
        return JSONResponse(described | {"openapi_schema": {"components": {"schemas": {}}}})

    @app.post("/v1/predictions/{id_}/cancel")
    async def cancel(id_: str, request: Request) -> Response:
        fault = _received(state, request, "cancel")
        if fault is not None:
            return await _answer(fault)
        if id_ in state.predictions:
            state.cancel(id_)
        return await _shown(state, id_, _base(request))


def _add_files(app: FastAPI, state: ReplicateState) -> None:
    @app.post("/v1/files")
    async def upload(request: Request) -> Response:
        fault = _received(state, request, "upload")
        if fault is not None:
            return await _answer(fault)
        async with request.form() as form:
            content = form.get("content")
            if content is None or isinstance(content, str):
                return _problem(400, "Bad request", "Missing content")
            data, media_type = await content.read(), content.content_type or "application/octet-stream"
        name = state.keep_file(data, media_type)
        return JSONResponse(_file_json(name, len(data), media_type, _base(request)), 201)

    @app.delete("/v1/files/{name}")
    async def delete(name: str, request: Request) -> Response:
        fault = _received(state, request, "delete")
        if fault is not None:
            return await _answer(fault)
        if state.files.pop(name, None) is None:
            return _problem(404, "Not found", "No such file")
        return Response(status_code=204)

    @app.get("/output/{name}")
    async def output(name: str, request: Request) -> Response:
        fault = _received(state, request, "output")
        if fault is not None:
            return await _answer(fault)
        if name not in state.files:
            return _problem(404, "Not found", "No such file")
        data, media_type = state.files[name]
        return Response(data, media_type=media_type)


def _add_control(app: FastAPI, state: ReplicateState) -> None:
    @app.post("/control/faults")
    async def add_fault(fault: Fault) -> None:
        state.faults.append(fault)

    @app.post("/control/plans")
    async def add_plan(plan: Plan) -> None:
        state.plans.append(plan)

    @app.get("/control/state")
    async def show() -> dict[str, Any]:
        return {
            "counts": state.counts,
            "received": [received.model_dump() for received in state.received],
            "predictions": [
                {"id": made.id, "model": made.model, "status": made.status, "input": made.input}
                for made in state.predictions.values()
            ],
        }


def _received(state: ReplicateState, request: Request, call: Call) -> Fault | None:
    """Note a call, and what was scripted for it. A missing key is a fault of its own."""
    state.counts[call] += 1
    headers = request.headers
    state.received.append(
        Received(
            method=request.method,
            path=request.url.path,
            authorization=headers.get("Authorization"),
            cancel_after=headers.get("Cancel-After"),
        )
    )
    if call != "output" and not headers.get("Authorization", "").startswith("Bearer "):
        return Fault(call=call, status=401, body='{"title": "Unauthenticated", "status": 401}')
    return state.next_fault(call)


async def _answer(fault: Fault) -> Response:
    await asyncio.sleep(fault.delay_seconds)
    if fault.breaks_off:
        return _BrokenOff()
    return Response(fault.body, fault.status, {"Content-Type": "application/json"} | fault.headers)


async def _shown(state: ReplicateState, id_: str, base_url: str) -> Response:
    if id_ not in state.predictions:
        return _problem(404, "Not found", "The requested resource could not be found.")
    prediction = await asyncio.to_thread(state.look, id_, base_url)
    return JSONResponse(_json(prediction, base_url))


async def _until_ended(state: ReplicateState, prediction: Prediction, base_url: str) -> None:
    while prediction.plan.ends != "never" and not prediction.has_ended:
        await asyncio.to_thread(state.look, prediction.id, base_url)
        await asyncio.sleep(0.01)


def _json(prediction: Prediction, base_url: str) -> dict[str, Any]:
    here = f"{base_url}/v1/predictions/{prediction.id}"
    is_erased = prediction.has_ended and prediction.plan.output == "erased"
    return {
        "id": prediction.id,
        "model": prediction.model,
        "version": prediction.version or "hidden",
        "status": prediction.status,
        "input": {} if is_erased else prediction.input,
        "output": prediction.output,
        "logs": "" if prediction.status == "starting" else " 50%|#####     | 1/2 [00:01<00:01]\n",
        "error": prediction.error,
        "data_removed": is_erased,
        "created_at": prediction.created_at,
        "started_at": prediction.created_at if prediction.status != "starting" else None,
        "completed_at": prediction.completed_at,
        "metrics": {"predict_time": _PREDICT_SECONDS} if prediction.has_run else {},
        "urls": {"get": here, "cancel": f"{here}/cancel"},
    }


def _file_json(name: str, size: int, media_type: str, base_url: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "content_type": media_type,
        "size": size,
        "etag": name,
        "checksums": {},
        "metadata": {},
        "created_at": "2026-01-01T00:00:00Z",
        "expires_at": "2026-01-02T00:00:00Z",
        "urls": {"get": f"{base_url}/v1/files/{name}"},
    }


def _problem(status: int, title: str, detail: str) -> Response:
    return JSONResponse({"title": title, "detail": detail, "status": status}, status)


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")
