"""Hugging Face as a provider: Spaces for photos, inference for text and pictures from prompts.

Each part is imported when it is first used: the vendor's libraries take a while, and most processes need none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from relume.imaging.photo import Photo
from relume.picture_models import picture_model
from relume.ports import Result, RunContext
from relume.providers.hosted import Wait
from relume.providers.openai_compatible import OpenAICompatible
from relume.settings import Settings
from relume.tasks import Cartoonify, GenerateText, Task, TextToImage, Upscale

TEXT_MODEL = "mistralai/Mistral-7B-Instruct-v0.3"
IMAGE_MODEL = "stabilityai/stable-diffusion-xl-base-1.0"
_HUB_URL = "https://huggingface.co"
_ROUTER_URL = "https://router.huggingface.co"
_SERVICE = "Hugging Face"


@dataclass(frozen=True, slots=True, kw_only=True)
class HuggingFaceConfig:
    """What is configured. None, or an empty Space, switches a part off."""

    token: str | None = None
    base_url: str | None = None
    """Of an OpenAI-compatible server, or an inference endpoint, to use in place of Hugging Face's own."""
    space_upscale: str = ""
    """`owner/name`, or the URL of a gradio server."""
    space_upscale_endpoint: str | None = None
    """Like `/predict`. None: the first one that takes a photo and gives one."""
    space_cartoonify: str = ""
    space_cartoonify_endpoint: str | None = None
    text_model: str = TEXT_MODEL
    image_model: str = IMAGE_MODEL
    timeout_seconds: float = 120
    """Of a run whose context has no deadline."""
    hub_url: str = _HUB_URL
    router_url: str = _ROUTER_URL


class HuggingFaceProvider:
    name = "huggingface"
    is_local = False
    needs_device = False

    def __init__(self, config: HuggingFaceConfig) -> None:
        self._config = config
        self._server = OpenAICompatible(config.base_url or config.router_url, config.token, service=_SERVICE)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        token = settings.huggingface_token
        return cls(
            HuggingFaceConfig(
                token=token.get_secret_value() if token else None,
                base_url=settings.huggingface_base_url,
                space_upscale=settings.huggingface_space_upscale.strip(),
                space_upscale_endpoint=settings.huggingface_space_upscale_endpoint,
                space_cartoonify_endpoint=settings.huggingface_space_cartoonify_endpoint,
                text_model=settings.huggingface_text_model,
                image_model=settings.huggingface_image_model,
                space_cartoonify=settings.huggingface_space_cartoonify.strip(),
                timeout_seconds=settings.provider_timeout_seconds,
            )
        )

    def supports(self, task: Task) -> bool:
        return self.why_not(task) is None

    def why_not(self, task: Task) -> str | None:
        """Why a task cannot be done as configured, or None."""
        match task:
            case Upscale():
                return self._why_no_space(self._config.space_upscale, "HUGGINGFACE_SPACE_UPSCALE")
            case Cartoonify(style=style) if style != Cartoonify().style:
                return "a Space knows no styles"
            case Cartoonify():
                return self._why_no_space(self._config.space_cartoonify, "HUGGINGFACE_SPACE_CARTOONIFY")
            case TextToImage() if self._image_model(task) is None:
                return "it does not have this model"
            case GenerateText() | TextToImage():
                is_set = self._config.token or self._config.base_url
                return None if is_set else "neither HUGGINGFACE_TOKEN nor HUGGINGFACE_BASE_URL is set"
        return f"it does no {task.name}"

    def _image_model(self, task: TextToImage) -> str | None:
        """What the wanted model is called here; None where only another one would answer to the name."""
        if task.model is None:
            return self._config.image_model
        same = None if self._config.base_url or ":" in task.model else picture_model(task.model).huggingface
        return same or (None if task.exact_model else task.model)

    def _why_no_space(self, space: str, setting: str) -> str | None:
        """A hosted Space is used only by those who have a token: a photo leaves nobody's machine unasked."""
        if not space:
            return f"{setting} is empty"
        if "://" not in space and not self._config.token:
            return "HUGGINGFACE_TOKEN is not set"
        return None

    def estimate_usd(self, task: Task) -> float:
        del task
        return 0.0

    def unavailable(self) -> str | None:
        examples = (Upscale(), Cartoonify(), GenerateText(""), TextToImage(""))
        return None if any(self.supports(task) for task in examples) else "no Space, token or server is set"

    async def run(self, task: Task, photo: Photo | None, context: RunContext) -> Result:
        wait = Wait.of(
            context, timeout_seconds=self._config.timeout_seconds, step=task.name, service=_SERVICE
        )
        if isinstance(task, GenerateText):
            model = task.model or self._config.text_model
            return self._result(model, text=await self._server.text(task, model, wait))
        if isinstance(task, TextToImage):
            model = self._image_model(task) or self._config.image_model
            return self._result(model, photo=await self._drawn(task, model, wait))
        assert photo is not None  # noqa: S101 (the other tasks it supports are about a photo)
        return await self._through_space(task, photo, wait)

    async def _drawn(self, task: TextToImage, model: str, wait: Wait) -> Photo:
        if self._config.base_url or not self._config.token:
            return await self._server.picture(task, model, wait)
        from relume.providers.huggingface_inference import InferenceProviders

        return await InferenceProviders(self._config.token).picture(task, model, wait)

    async def _through_space(self, task: Task, photo: Photo, wait: Wait) -> Result:
        from relume.providers.huggingface_spaces import Space, Spaces

        config = self._config
        if isinstance(task, Upscale):
            space = Space(config.space_upscale, config.space_upscale_endpoint)
        else:
            space = Space(config.space_cartoonify, config.space_cartoonify_endpoint)
        spaces = Spaces(config.token, hub_url=config.hub_url)
        made = await spaces.run(space, photo, getattr(task, "scale", 1), wait)
        return self._result(space.model, photo=made)

    def _result(self, model: str, *, photo: Photo | None = None, text: str | None = None) -> Result:
        """What answers is whatever version is served today: nobody tells."""
        return Result(
            photo=photo, text=text, provider=self.name, model=model, version="hosted", generative=True
        )
