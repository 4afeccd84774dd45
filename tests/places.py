"""Where the bytes of a store may be, for whoever searches them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """A store, and everything that it has on the disk but the log of a server."""

    url: str
    files: tuple[Path, ...]
    log: tuple[Path, ...] = ()
