"""How a photo fits into a gradio server's endpoint, and where in its result the picture is."""

from __future__ import annotations

from typing import Any

import pytest

from relume.errors import OutputInvalid, ProviderRefused
from relume.providers.gradio_endpoint import choose, last_file


class TestEndpoints:
    @staticmethod
    def _info(*parameters: dict[str, Any]) -> dict[str, Any]:
        image = {"component": "Image", "parameter_name": "image", "parameter_has_default": False}
        made = {"component": "ImageSlider"}
        return {"named_endpoints": {"/go": {"parameters": [image, *parameters], "returns": [made]}}}

    def test_a_choice_that_names_the_scale_is_taken(self) -> None:
        choice = {
            "component": "Radio",
            "parameter_name": "scale",
            "parameter_has_default": True,
            "type": {"enum": ["2x", "4x"]},
        }
        endpoint = choose(self._info(choice), "go")
        assert endpoint.arguments("file", 4) == {"image": "file", "scale": "4x"}
        assert endpoint.arguments("file", 3) == {"image": "file"}

    def test_a_parameter_nobody_can_fill_is_refused(self) -> None:
        words = {
            "component": "Textbox",
            "parameter_name": "prompt",
            "parameter_has_default": False,
            "type": {"type": "string"},
        }
        with pytest.raises(ProviderRefused):
            choose(self._info(words), None).arguments("file", 4)

    @pytest.mark.parametrize("info", [None, {}, [], {"named_endpoints": {"/a": {}}}, {"named_endpoints": {}}])
    def test_garbage_is_refused(self, info: object) -> None:
        with pytest.raises(ProviderRefused):
            choose(info, None)

    @pytest.mark.parametrize(
        "result",
        [
            {"path": "/b"},
            [{"path": "/a"}, {"path": "/b"}],
            ({"path": "/b"}, {"path": "/c"}),
            ("words", {"path": "/b"}),
            [{"image": {"path": "/b"}, "caption": None}],
        ],
    )
    def test_the_picture_is_found_in_every_shape_of_result(self, result: object) -> None:
        assert last_file(result) == "/b"

    @pytest.mark.parametrize("result", [None, (), "text", [{"url": "http://x"}]])
    def test_a_result_without_a_picture_is_none(self, result: object) -> None:
        with pytest.raises(OutputInvalid):
            last_file(result)
