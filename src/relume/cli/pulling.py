"""Several downloads at once, each with its bar."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from relume.engines.download import DownloadError, download
from relume.engines.weights import KnownWeights


def pull_all(wanted: list[KnownWeights], folder: Path) -> list[str]:
    """Download into the folder; what went wrong, a sentence for each file. One bad file stops no other."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    faults: list[str] = []
    with Progress(*columns, console=console) as progress:
        anyio.run(_pull, wanted, folder, progress, faults)
    return faults


async def _pull(wanted: list[KnownWeights], folder: Path, progress: Progress, faults: list[str]) -> None:
    async with httpx.AsyncClient() as client, anyio.create_task_group() as group:
        for weights in wanted:
            group.start_soon(_pull_one, weights, folder, client, progress, faults)


async def _pull_one(
    weights: KnownWeights, folder: Path, client: httpx.AsyncClient, progress: Progress, faults: list[str]
) -> None:
    bar = progress.add_task(weights.file, total=weights.bytes)
    try:
        path = await download(weights, folder, client, lambda here: progress.update(bar, completed=here))
    except DownloadError as error:
        faults.append(str(error))
    except OSError as error:
        faults.append(f"{weights.file}: it cannot be written to {folder} ({error.strerror}).")
    else:
        progress.console.print(f"{path.name}: complete, its SHA-256 is right.", highlight=False)
