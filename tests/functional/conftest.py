"""Real processes, real sockets, no mocks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functional.browser_fixtures import browser, console, page
from tests.functional.server import Server

__all__ = ["browser", "console", "page"]


# One for the whole run: it takes seconds to start, and nobody who uses it stops or fills it.
@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("service")) as server:
        yield server


@pytest.fixture(scope="session")
def live_server_with_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("service-with-key"), API_KEY="sesame") as server:
        yield server
