"""The ASGI application: five contracts, the dashboard and the operators' endpoints over one set of services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi

from relume import __version__
from relume.http import dashboard, files, operations, problems
from relume.http.contracts import enhance, mobile, restore_url, v1
from relume.http.gate import KEY_HEADER, Gate
from relume.settings import Settings
from relume.wiring import build_services

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


def create_app(settings: Settings) -> FastAPI:
    """Raises SettingsError."""
    services = build_services(settings)
    gate = Gate(settings, services.keys)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await services.start()
        try:
            yield
        finally:
            await services.stop()

    app = FastAPI(title="Relume", version=__version__, lifespan=lifespan, summary="Restores old photos.")
    app.state.services = services
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*", KEY_HEADER],
            expose_headers=["Location", "Retry-After"],
        )
    problems.install(app)
    app.include_router(restore_url.router(services, gate))
    app.include_router(mobile.router(services, gate))
    app.include_router(enhance.router(services, gate))
    app.include_router(v1.router(services, gate))
    app.include_router(files.router(services.jobs))
    app.include_router(operations.router(services, gate))
    dashboard.install(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's schema, with our error shape and our key in place of its own validation errors."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        components = schema.setdefault("components", {})
        components["schemas"] = {
            name: shape
            for name, shape in components.get("schemas", {}).items()
            if name not in ("HTTPValidationError", "ValidationError")
        } | {"Problem": _PROBLEM_SCHEMA}
        components["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": KEY_HEADER}}
        for operation in (operation for path in schema["paths"].values() for operation in path.values()):
            operation["responses"].pop("422", None)  # Ids are looked up, not validated: 404.
            if "401" in operation["responses"]:
                operation["security"] = [{"key": []}, {}]
        app.openapi_schema = schema
    return app.openapi_schema
