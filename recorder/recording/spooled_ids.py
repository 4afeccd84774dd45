"""Which files of a spool directory hold events of some streams: each record names its stream."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from recorder.recording.recovery import set_aside
from recorder.recording.spool_file import spool_files

_PIECE: Final = 1 << 20
_ID: Final = 16


def files_with(directory: Path, streams: Collection[bytes]) -> Iterator[tuple[Path, bool]]:
    """Yield the files in which an id of *streams* stands, and whether each was set aside by a recovery.

    :param directory: the store's spool directory; it may be missing.
    """
    if not streams or not directory.is_dir():
        return
    kept = set(set_aside(directory))
    for path in sorted({*kept, *spool_files(directory)}):
        with suppress(FileNotFoundError):  # drained and removed meanwhile
            if _holds(path, streams):
                yield path, path in kept


def _holds(path: Path, streams: Collection[bytes]) -> bool:
    before = b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            looked_at = before + piece
            if any(stream in looked_at for stream in streams):
                return True
            before = looked_at[-_ID:]
    return False
