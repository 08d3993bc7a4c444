from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from relume.providers.replicate import ReplicateProvider
from relume.providers.replicate_run import Pace
from tests.doubles.replicate import ReplicateDouble

QUICK = Pace(first_seconds=0.01, longest_seconds=0.02)


@pytest.fixture(scope="module")
def running_double() -> Iterator[ReplicateDouble]:
    with ReplicateDouble(latency_seconds=0.01) as running:
        yield running


@pytest.fixture
def double(running_double: ReplicateDouble) -> ReplicateDouble:
    running_double.reset()
    return running_double


@pytest.fixture
async def replicate(double: ReplicateDouble) -> AsyncIterator[ReplicateProvider]:
    provider = ReplicateProvider("secret", double.url, pace=QUICK, timeout_seconds=20)
    yield provider
    await provider.aclose()
