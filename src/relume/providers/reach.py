"""Whether the servers of providers can be reached: no token is sent, no run is begun, nothing is paid."""

from __future__ import annotations

import httpx

from relume.settings import Settings

_HUGGINGFACE_URL = "https://huggingface.co"


def addresses(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The servers of each provider that has any, as configured."""
    spaces = (settings.huggingface_space_upscale, settings.huggingface_space_cartoonify)
    given = (settings.huggingface_base_url, *(space for space in spaces if "://" in space))
    cogs = (settings.cog_faces_url, settings.cog_upscale_url)
    own = tuple(dict.fromkeys(url for url in given if url))
    hosted = (_HUGGINGFACE_URL,) if settings.huggingface_token else ()
    return {
        "replicate": (settings.replicate_base_url,),
        "huggingface": own or hosted,
        "cog": tuple(dict.fromkeys(url for url in cogs if url)),
    }


async def reach(urls: tuple[str, ...], seconds: float) -> bool:
    """Whether each server answers anything but a fault of its own within `seconds`."""
    async with httpx.AsyncClient(timeout=seconds) as client:
        for url in urls:
            try:
                answer = await client.head(url)
            except httpx.HTTPError:
                return False
            if answer.is_server_error:
                return False
    return True
