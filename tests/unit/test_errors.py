"""The error tree: codes, statuses, pickling."""

from __future__ import annotations

import pickle

import pytest

from relume import errors
from relume.errors import AllProvidersFailed, InternalError, ProviderTimeout, RateLimited, RelumeError


def tree(root: type[RelumeError] = RelumeError) -> list[type[RelumeError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in tree(child))]


def test_codes_are_unique_and_snake_case() -> None:
    codes = [kind.code for kind in tree() if kind not in (RelumeError, InternalError)]
    assert len(codes) == len(set(codes))
    assert all(code.replace("_", "a").isalpha() and code.islower() for code in codes)


def test_every_error_stands_in_the_tree_at_the_top_of_the_file() -> None:
    assert errors.__doc__ is not None
    for kind in tree():
        assert f" {kind.__name__} " in errors.__doc__ or errors.__doc__.count(kind.__name__), kind


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_errors_survive_pickling(kind: type[RelumeError]) -> None:
    error = pickle.loads(pickle.dumps(kind("A sentence.", more=1)))
    assert (type(error), error.detail, error.extra) == (kind, "A sentence.", {"more": 1})


def test_what_an_error_carries_survives_too() -> None:
    limited = pickle.loads(pickle.dumps(RateLimited("Slow down.", retry_after_seconds=6)))
    assert limited.extra["retry_after_seconds"] == 6
    failed = pickle.loads(pickle.dumps(AllProvidersFailed("All.", causes=[ProviderTimeout("Late.")])))
    assert [cause.detail for cause in failed.causes] == ["Late."]
