"""A gradio server with endpoints like those of the Spaces. Run as `gradio_app.py PORT FOLDER`.

Gradio wants another Pillow than Relume does, so it lives in an environment of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
from PIL import Image, ImageOps


def inference(img: Image.Image, mode: str) -> Image.Image:
    """As akhaliq/Real-ESRGAN: always four times, with a choice of networks."""
    assert mode == "base", mode
    return img.resize((img.width * 4, img.height * 4))


def scaled(image: Image.Image, outscale: float, face: str) -> tuple[Image.Image, str]:
    times = int(outscale)
    return image.resize((image.width * times, image.height * times)), f"done, {face}"


def cartoon(image: Image.Image) -> Image.Image:
    return ImageOps.posterize(image.convert("RGB"), 2)


def crop(image: Image.Image) -> Image.Image:
    return image.crop((0, 0, image.width // 2, image.height))


def slow(image: Image.Image) -> Iterator[Image.Image]:
    """Leaves a mark ten times a second for as long as it is left running."""
    with (Path(sys.argv[2]) / "ticks").open("a", buffering=1) as ticks:
        for _ in range(600):
            ticks.write("tick\n")
            time.sleep(0.1)
            yield image


def broken(image: Image.Image) -> Image.Image:
    raise gr.Error("CUDA out of memory at /home/user/app/secret.py")


def main() -> None:
    with gr.Blocks() as app:
        photo, made, words = gr.Image(type="pil"), gr.Image(type="pil", format="png"), gr.Textbox()
        mode = gr.Radio(["base", "anime"], value="base")
        scale = gr.Number(label="Rescaling factor", value=2)
        face = gr.Radio(["none", "all"], label="Faces")
        gr.Button().click(lambda: "hello", None, words, api_name="about")
        gr.Button().click(inference, [photo, mode], made, api_name="predict")
        gr.Button().click(scaled, [photo, scale, face], [made, words], api_name="scaled")
        gr.Button().click(cartoon, photo, made, api_name="cartoon")
        gr.Button().click(crop, photo, made, api_name="crop")
        gr.Button().click(slow, photo, made, api_name="slow")
        gr.Button().click(broken, photo, made, api_name="broken")
    app.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)


if __name__ == "__main__":
    main()
