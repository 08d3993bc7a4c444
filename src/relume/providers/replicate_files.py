"""The photo of a run on its way to Replicate: in the request itself, or by way of Replicate's file store."""

from __future__ import annotations

from dataclasses import dataclass

from relume.errors import ProviderError
from relume.ports import RunContext
from relume.providers.exchange import ImageFile
from relume.providers.replicate_client import ReplicateClient
from relume.telemetry import logger

log = logger(__name__)

MAX_DATA_URI_CHARACTERS = 256_000
"""Above it, Replicate wants files uploaded first. Base64 is a third longer than what it stands for."""


@dataclass(slots=True)
class PhotoOnLoan:
    """What is uploaded is deleted when its run has ended.

    Its id is remembered before the run begins, beside the run's own: after the death of this process, whoever
    sees the run to its end deletes the file too.
    """

    client: ReplicateClient
    provider: str
    context: RunContext
    _file_id: str | None = None

    async def lend(self, image: ImageFile, remaining_seconds: float) -> str:
        """What stands for the photo in a run's input: a data URI, or the URL of an uploaded file."""
        data_uri = image.data_uri
        if len(data_uri) <= MAX_DATA_URI_CHARACTERS:
            return data_uri
        await self.take_back()  # What a try has left that died before its run began.
        file = await self.client.upload(image, remaining_seconds)
        self._file_id = file.id
        try:
            await self.context.external_ids.remember(self.context.step, self._slot, file.id)
        except Exception:
            await self._delete(file.id)  # Nobody could ever do it later.
            raise
        return file.url

    async def take_back(self) -> None:
        """Delete what was uploaded, now or by an earlier try of this step, as far as Replicate listens."""
        file_id = self._file_id or await self.context.external_ids.recall(self.context.step, self._slot)
        if file_id is None:
            return
        await self._delete(file_id)
        self._file_id = None
        await self.context.external_ids.forget(self.context.step, self._slot)

    @property
    def _slot(self) -> str:
        return f"{self.provider}.file"

    async def _delete(self, file_id: str) -> None:
        try:
            await self.client.delete_file(file_id)
        except ProviderError as error:
            log.warning("replicate.file_not_deleted", file=file_id, cause=repr(error.__cause__))
