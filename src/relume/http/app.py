"""The ASGI application: five contracts, the dashboard and the operators' endpoints over one set of services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from relume import __version__
from relume.http import (
    dashboard,
    downloads,
    estimate,
    files,
    health,
    metrics,
    operations,
    overview,
    pictures,
    problems,
    rendering,
    retrying,
    schema,
)
from relume.http.contracts import enhance, generate, mobile, restore_url, v1
from relume.http.gate import KEY_HEADER, Gate
from relume.http.lookout import Lookout
from relume.http.measured import Measured
from relume.settings import Settings
from relume.wiring.build import build_services


def create_app(settings: Settings) -> FastAPI:
    """Raises SettingsError."""
    services = build_services(settings)
    gate = Gate(settings, services.keys, services.meters)
    lookout = Lookout()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await services.start()
        try:
            yield
        finally:
            await lookout.close()
            await services.stop()
            await gate.close()

    app = FastAPI(
        title="Relume",
        version=__version__,
        lifespan=lifespan,
        summary="Restores old photos.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*", KEY_HEADER],
            expose_headers=["Location", "Retry-After"],
        )
    app.add_middleware(Measured, meters=services.meters)  # The last one added stands around the others.
    problems.install(app)
    app.include_router(restore_url.router(services, gate))
    app.include_router(mobile.router(services, gate))
    app.include_router(enhance.router(services, gate))
    app.include_router(v1.router(services, gate))
    app.include_router(generate.router(services, gate))
    app.include_router(generate.media_router(services))
    app.include_router(rendering.router(services, gate))
    app.include_router(retrying.router(services, gate))
    app.include_router(files.router(services.jobs, settings))
    app.include_router(pictures.router(services.jobs, services.store))
    app.include_router(downloads.router(services.jobs))
    app.include_router(operations.router(services, gate))
    app.include_router(estimate.router(services, gate))
    app.include_router(overview.router(services, gate, lookout))
    app.include_router(health.router(services, gate, lookout))
    app.include_router(metrics.router(services, gate, lookout))
    dashboard.install(app)
    schema.install(app)
    return app
