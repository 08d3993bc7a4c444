"""Weights that come and go while the service runs, found without a restart."""

from __future__ import annotations

import threading

from relume.engines.weights import Listing, Weights, WeightsFolder


class WeightsWatch:
    """A folder of weights, looked at again and again. A look lists the folder; only what is new is read.

    A new file is read once two looks in a row have found it with the same size and time of change: one that is
    still being copied waits. A file that is written over, or gone, counts no more from the very next look.
    May be used by several threads.
    """

    def __init__(self, folder: WeightsFolder) -> None:
        self._folder = folder
        self._seen: Listing = {}
        self._taken: Listing = {}
        self._lock = threading.Lock()

    def first(self) -> list[Weights]:
        """What is here at the start, which waits for no second look. A file that was half copied then cannot be
        read as weights, and is read again when it has grown.
        """
        with self._lock:
            found = self._folder.scan()
            self._taken = _stamps(found)
            self._seen = dict(self._taken)
            return found

    def look(self) -> list[Weights] | None:
        """All that is here now, or None where nothing has changed. Where the folder cannot be listed, nothing has."""
        with self._lock:
            try:
                listed = self._folder.listing()
            except OSError as error:
                self._folder.complain(self._folder.folder.name, error)
                return None
            at_rest = {name: stamp for name, stamp in listed.items() if self._seen.get(name) == stamp}
            self._seen = listed
            if at_rest == self._taken:
                return None
            found = self._folder.scan(at_rest)
            before, self._taken = self._taken, _stamps(found)
            return None if self._taken == before else found


def _stamps(found: list[Weights]) -> Listing:
    return {weights.path.name: weights.stamp for weights in found}
