"""Real servers that tests talk to. On a stranger's machine their absence skips a test and names what is missing;
where `RELUME_REQUIRE_PEERS` is set, it fails it."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

POSTGRES_URL = os.environ.get("RELUME_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
RABBITMQ_URL = os.environ.get("RELUME_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")


def missing(part: str) -> NoReturn:
    """Skip, or fail, for want of `part`."""
    reason = f"{part} is needed for this test and is not there"
    if os.environ.get("RELUME_REQUIRE_PEERS"):
        pytest.fail(reason)
    pytest.skip(reason)
