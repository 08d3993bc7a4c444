"""What providers behind HTTP share."""

from __future__ import annotations

import pytest

from relume.providers.hosted import retry_after_seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Fri, 31 Dec 1999 23:59:59 -0000", 0),
        ("soon", None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(value: str, seconds: float | None) -> None:
    assert retry_after_seconds(value) == seconds
