"""Where files lie: folders, or a bucket."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

from pydantic import SecretStr

from relume.errors import SettingsError
from relume.jobs.files import MEDIA, METADATA, RESULTS, UPLOADS
from relume.ports import Store
from relume.settings import Settings
from relume.storage.bucket import BucketAccess, BucketStore
from relume.storage.local import FolderStore

_FOLDER_OF = {
    UPLOADS: "UPLOAD_FOLDER",
    RESULTS: "PROCESSED_FOLDER",
    MEDIA: "STORAGE_PATH",
    METADATA: "the folder 'metadata' beside STORAGE_PATH",
}
"""How the folders are named to an operator."""


def build_store(settings: Settings) -> Store:
    """Folders, or a bucket. Raises SettingsError."""
    areas = storage_areas(settings)
    if settings.bucket is None:
        return FolderStore(areas)
    access = BucketAccess(
        region=settings.aws_region,
        endpoint_url=settings.s3_endpoint_url,
        key_id=_plain(settings.aws_access_key_id),
        secret_key=_plain(settings.aws_secret_access_key),
        session_token=_plain(settings.aws_session_token),
    )
    prefixes = {area: folder.as_posix() for area, folder in areas.items()}
    return BucketStore(settings.bucket.name, prefixes, access)


def storage_areas(settings: Settings) -> dict[str, Path]:
    """The folder of each storage area; in a bucket, the prefix of its keys.

    A relative folder lies below STORAGE_DIR. Raises SettingsError.
    """
    root = Path(settings.bucket.prefix) if settings.bucket else settings.storage_folder
    media = root / settings.storage_path
    areas = {
        UPLOADS: root / settings.upload_folder,
        RESULTS: root / settings.processed_folder,
        MEDIA: media,
        METADATA: media.parent / METADATA,
    }
    for one, other in permutations(areas, 2):
        if areas[one].resolve().is_relative_to(areas[other].resolve()):
            names = f"{_FOLDER_OF[one]} and {_FOLDER_OF[other]}"
            raise SettingsError(f"{names} are wrong: neither may lie in the other.")
    if settings.bucket and any(folder.is_absolute() or ".." in folder.parts for folder in areas.values()):
        raise SettingsError(
            "UPLOAD_FOLDER, PROCESSED_FOLDER or STORAGE_PATH is wrong: STORAGE_DIR is a bucket, and they lie in it."
        )
    return areas


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
