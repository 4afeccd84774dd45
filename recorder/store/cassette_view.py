"""A cassette as a store that can only be read: list, search and export know no other kind.

Its events are brought to a SQLite file in a temporary folder, which goes when the view is closed.
"""

from __future__ import annotations

import tempfile
import weakref
from contextlib import closing
from pathlib import Path
from typing import Final

from recorder.store.cassette_file import events_of, read_file, require_sound
from recorder.store.sqlite import SqliteStore

_EVENTS: Final = 4096  # in one transaction


class CassetteView(SqliteStore):
    """An EventStore that holds what a cassette held when it was opened.

    :param path: the cassette, absolute.
    :raises StoreUnreachable: it cannot be read.
    :raises ConfigurationError: it is no cassette, or of a newer version.
    :raises CorruptRecording: its lines are not what was written.
    """

    def __init__(self, path: Path) -> None:
        cassette = read_file(path)
        require_sound(path, cassette)
        folder = tempfile.TemporaryDirectory(prefix="recorder-cassette-")
        self._folder = weakref.finalize(self, folder.cleanup)
        file = Path(folder.name) / "view.db"
        name = str(path)
        with closing(SqliteStore(file, name, write=True)) as made:
            openings, events = [], []
            for block in cassette.blocks.values():
                openings.append(block.opening[0])
                events += events_of(path, block)
                if len(events) >= _EVENTS:
                    made.append(openings, events)
                    openings, events = [], []
            made.append(openings, events)
        super().__init__(file, name, write=False)

    def close(self) -> None:
        """Release connections and remove the file; closing twice is fine."""
        super().close()
        self._folder()
