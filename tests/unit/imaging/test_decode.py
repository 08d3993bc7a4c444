from __future__ import annotations

import pytest
from tests.images import corpus

from relume.imaging.decode import decode, prove
from relume.imaging.inspect import inspect
from relume.imaging.limits import MOBILE, WIDE


@pytest.mark.parametrize("case", corpus.HANDLED, ids=str)
def test_reads_what_the_mobile_limits_take(case: corpus.Case) -> None:
    data = case.make()
    photo, info = decode(data, MOBILE), inspect(data, MOBILE)
    assert (photo.width, photo.height) == (info.width, info.height) == case.size
    assert photo.source_format is info.format
    prove(data, MOBILE)


@pytest.mark.parametrize("case", corpus.HANDLED_WIDE, ids=str)
def test_reads_more_with_wide_limits(case: corpus.Case) -> None:
    photo = decode(case.make(), WIDE)
    assert (photo.width, photo.height) == case.size


@pytest.mark.parametrize("case", corpus.REFUSED, ids=str)
def test_refuses_with_a_code_and_a_sentence(case: corpus.Case) -> None:
    assert case.error is not None
    with pytest.raises(case.error) as caught:
        decode(case.make(), MOBILE)
    assert type(caught.value) is case.error
    assert caught.value.detail.endswith(".")
    with pytest.raises(case.error):
        prove(case.make(), MOBILE)
