"""`relume serve`: the API, the dashboard and the worker, until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

import typer

from relume.cli.home import read_settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="API_HOST")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the API.", min=0, max=65535, show_default="API_PORT")
    ] = None,
    dashboard_port: Annotated[
        int | None,
        typer.Option(
            help="Also serve the dashboard on a port of its own.",
            min=0,
            max=65535,
            show_default="DASHBOARD_PORT",
        ),
    ] = None,
) -> None:
    """Start the API and the dashboard, and work on jobs."""
    settings = read_settings(api_host=host, api_port=port, dashboard_port=dashboard_port)
    from relume.http.server import serve as serve_http

    serve_http(settings)
