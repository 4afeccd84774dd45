"""Anchors of a recorder: each checkpoint that it signs is offered to them, and what they give is kept in the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from recorder.clock import Clock
from recorder.errors import RecorderError
from recorder.store import open_store

if TYPE_CHECKING:
    from recorder.ledger.anchoring import AnchorHealth, Anchoring, Trace
    from recorder.ledger.anchors import Anchor

_PATIENCE: Final = 5.0  # seconds at the end for what is outside
#: Says something in the journal: the type of an event, and its facts.
Tell = Callable[[str, Mapping[str, Any]], object]


class OwnAnchors:
    """The anchors of one recorder; without any, all of it does nothing.

    :param texts: of anchors; None: those of ``RECORDER_ANCHORS``.
    :param url: of the store.
    :raises ConfigurationError: one of them is no anchor.
    """

    def __init__(self, texts: Iterable[str] | None, url: str, clock: Clock) -> None:
        self._anchors = _opened(texts)
        self._url = url
        self._clock = clock
        self._tell: Tell | None = None
        self._early: str | None = None  # what was offered before there was a journal
        self._anchoring: Anchoring | None = None

    def begin(self, tell: Tell) -> None:
        """Have what is left outside told in the journal, and what was offered before left there now."""
        self._tell = tell
        if self._early is not None:
            self.offer(self._early)

    def offer(self, note: str) -> None:
        """Tell of the newest checkpoint; never waits for anything outside."""
        if not self._anchors:
            return
        if self._tell is None:
            self._early = note
            return
        if self._anchoring is None:
            from recorder.ledger.anchored import anchored_sizes
            from recorder.ledger.anchoring import Anchoring

            try:
                with closing(open_store(self._url, write=False)) as store:
                    before = anchored_sizes(store.ledger)
            except RecorderError:  # then what was anchored before is anchored once more
                before = {}
            self._anchoring = Anchoring(self._anchors, self._keep, self._clock, anchored=before)
        self._anchoring.offer(note)

    def _keep(self, trace: Trace) -> None:
        with closing(open_store(self._url, write=True)) as store:
            store.ledger.add_anchor(trace.kept_as(self._clock.new_id()))
        if self._tell is not None:
            self._tell("anchored", trace.facts)

    def health(self) -> tuple[AnchorHealth, ...]:
        """Return how each anchor does."""
        return () if self._anchoring is None else self._anchoring.health()

    def close(self, seconds: float) -> None:
        """Leave a trace of the last checkpoint, one attempt each; closing twice is fine.

        :param seconds: to wait for that at most; the next recorder on the store does what is left undone.
        """
        if self._anchoring is not None:
            self._anchoring.close(min(seconds, _PATIENCE))


def _opened(texts: Iterable[str] | None) -> list[Anchor]:
    if texts is None and not os.environ.get("RECORDER_ANCHORS"):
        return []  # nothing of what anchoring needs is imported
    from recorder.ledger.anchors import open_anchors

    return open_anchors([texts] if isinstance(texts, str) else texts)
