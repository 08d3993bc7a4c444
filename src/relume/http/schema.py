"""`/openapi.json` and `/docs`: FastAPI's schema with our error shape, our key and an example of each answer."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles

from relume.http.gate import KEY_HEADER

_ASSETS = Path(fastapi_offline.__file__).parent / "static"
_ASSETS_PATH = "/docs-assets"

_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "An error, after RFC 9457",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for the user"},
        "code": {"type": "string", "description": "A stable word for the client's code"},
    },
}
_FAILURE_SCHEMA = {
    "type": "object",
    "description": "An error of contract B",
    "required": ["success", "error"],
    "properties": {
        "success": {"const": False},
        "error": {"type": "string", "description": "A sentence for the user"},
        "job_id": {"type": "string", "description": "Where there is a job"},
    },
}
_VALIDATION = ("HTTPValidationError", "ValidationError")
_WANTS_KEY = "401"


def install(app: FastAPI) -> None:
    """`/docs` loads nothing from elsewhere: it works without a network, and tells nobody who reads it."""
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.mount(_ASSETS_PATH, StaticFiles(directory=_ASSETS), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def reference(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=f"{app.title}: the API",
            swagger_js_url=f"{root}{_ASSETS_PATH}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{_ASSETS_PATH}/swagger-ui.css",
            swagger_favicon_url=f"{root}/dashboard/images/icon.svg",
        )


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        components = schema.setdefault("components", {})
        shapes = components.get("schemas", {}).items()
        components["schemas"] = {name: shape for name, shape in shapes if name not in _VALIDATION} | {
            "Problem": _PROBLEM_SCHEMA,
            "Failure": _FAILURE_SCHEMA,
        }
        components["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": KEY_HEADER}}
        examples = _examples()
        for path, item in schema["paths"].items():
            for method, operation in item.items():
                _finish(operation, examples.get(f"{method.upper()} {path}", {}))
        app.openapi_schema = schema
    return app.openapi_schema


def _finish(operation: dict[str, Any], examples: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "HTTPValidationError" in json.dumps(responses.get("422", {})):
        del responses[
            "422"
        ]  # FastAPI's own: ids are looked up, not validated, and our errors have one shape.
    if _WANTS_KEY in responses:
        operation["security"] = [{"key": []}, {}]
    if "request" in examples:
        _show(operation["requestBody"]["content"], examples["request"])
    if "response" in examples:
        _show(
            next(body["content"] for status, body in responses.items() if status < "300"),
            examples["response"],
        )


def _show(content: dict[str, Any], example: Any) -> None:
    for body in content.values():
        body.setdefault("examples", {"example": {"value": example}})


def _examples() -> dict[str, dict[str, Any]]:
    """By method and path: a request's body and a successful answer, where they are no files."""
    found: dict[str, dict[str, Any]] = json.loads(
        files("relume.http").joinpath("examples.json").read_text(encoding="utf-8")
    )
    return found
