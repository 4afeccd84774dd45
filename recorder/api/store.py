"""Store: the reading side, for scripts and notebooks."""

from __future__ import annotations

from recorder.api.reader import Reader
from recorder.locations import default_store


class Store:
    """A store, opened for reading; nothing in it is ever changed.

    :param url: ``RECORDER_STORE`` where it is left out, else ``sqlite:///recorder.db``.
    :raises StoreError: the store cannot be read.
    """

    def __init__(self, url: str | None = None) -> None:
        self.reader = Reader(url or default_store())

    def close(self) -> None:
        """Release the store; closing twice is fine."""
        self.reader.close()
