"""The output folder of an evaluation. It replaces an earlier report, and never anything else."""

from __future__ import annotations

import json
from pathlib import Path

from relume.cli.restoring.folder import FolderUnusableError

MARKER = ".relume-evaluate.json"


class ReportFolder:
    """Lists what it writes in a marker file; the next evaluation removes what is listed there, and no more."""

    def __init__(self, path: Path) -> None:
        """Raises FolderUnusableError for a folder that holds files of somebody else."""
        self.path = path
        self._written: list[str] = []
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._remove_earlier()
        except OSError as error:
            raise FolderUnusableError(
                f"{path} cannot be used as the output folder ({error.strerror})."
            ) from error

    def write(self, name: str, data: bytes) -> None:
        """Raises OSError. The marker names a file before it is there: a kill leaves none that is not listed."""
        self._written.append(name)
        (self.path / MARKER).write_text(json.dumps(self._written), encoding="utf-8")
        (self.path / name).write_bytes(data)

    def _remove_earlier(self) -> None:
        marker = self.path / MARKER
        if not marker.exists():
            if any(self.path.iterdir()):
                raise FolderUnusableError(
                    f"{self.path} holds files that no evaluation has written. Name another folder with -o."
                )
            return
        for name in _listed(marker):
            (self.path / name).unlink(missing_ok=True)
        marker.write_text("[]", encoding="utf-8")


def _listed(marker: Path) -> list[str]:
    """Plain file names only, whatever somebody wrote into the marker."""
    try:
        names = json.loads(marker.read_text(encoding="utf-8"))
    except ValueError:
        return []
    return [
        name for name in names if isinstance(name, str) and name == Path(name).name and name not in ("", "..")
    ]
