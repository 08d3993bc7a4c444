"""Serving: one process, one event loop, one or two ports."""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn
from starlette.types import ASGIApp

from relume.errors import SettingsError
from relume.http.app import create_app
from relume.http.dashboard import DashboardAtRoot
from relume.loops import event_loop_factory
from relume.settings import Settings
from relume.telemetry import configure_logging, logger

log = logger(__name__)

_GRACEFUL_SECONDS = 5
_KEEP_ALIVE_SECONDS = 75
"""Longer than balancers and clients keep an idle connection (60 s): else a request meets a closing one."""


def serve(settings: Settings) -> None:
    """Serve until a signal says stop. Raises SettingsError for settings or ports that cannot be used."""
    configure_logging(settings.log_level)
    app = create_app(settings)
    sockets = {"API_PORT": _listen(settings.api_host, settings.api_port, "API_PORT")}
    servers = [(_server(app, settings, lifespan="on"), sockets["API_PORT"])]
    if settings.dashboard_port is not None:
        own = _listen(settings.api_host, settings.dashboard_port, "DASHBOARD_PORT")
        servers.append((_server(DashboardAtRoot(app), settings, lifespan="off"), own))
    sys.stdout.write(f"Relume is starting at {_address(servers[0][1])}/dashboard/ (stop with Ctrl-C)\n")
    sys.stdout.flush()
    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        runner.run(_run(servers))


async def _run(servers: list[tuple[uvicorn.Server, socket.socket]]) -> None:
    for server, listener in servers:
        log.info("serve.listening", address=_address(listener))
        del server
    await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in servers))


def _server(app: ASGIApp, settings: Settings, *, lifespan: str) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=settings.log_level == "DEBUG",
        lifespan=lifespan,  # type: ignore[arg-type]
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        server_header=False,
    )
    return uvicorn.Server(config)


def _listen(host: str, port: int, name: str) -> socket.socket:
    """Take the port before anything else is started, so that a taken one is told in a sentence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if sys.platform != "win32":  # There it would let two servers share a port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"{name} is wrong: port {port} of {host} cannot be used ({error.strerror or error}). "
            f"Stop what uses it, or set {name} to another port."
        ) from error
    listener.set_inheritable(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
