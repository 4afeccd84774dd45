"""What a verification finds."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from recorder.core.seal_times import Untimely

MOST_FINDINGS = 1000
#: Kinds of findings on times: what was recorded may be what it was, and its times are wrong.
OF_TIMES = ("clock", "back_dated")


class Finding(NamedTuple):
    """One thing that is wrong.

    :ivar stream: id of the event stream as text; empty where it is none's.
    :ivar version: version of the event, where there is one.
    :ivar field: the field, or the file of the bundle.
    :ivar kind: a stable word: ``bundle``, ``digest``, ``signature``, ``key``, ``tree``, ``leaf``, ``record``,
        ``opening``, ``version``, ``hash``, ``omitted``, ``journal``, ``link``, ``proof``, ``anchor``, ``clock``,
        ``back_dated``, ``manifest``, ``stale``.
    :ivar detail: one sentence.
    """

    stream: str
    version: int | None
    field: str
    kind: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it: what is not known is absent."""
        shown = {name: value for name, value in self._asdict().items() if value not in (None, "")}
        return {**shown, "detail": self.detail}


class Findings:
    """Collects findings; hostile input cannot make more of them than anybody reads."""

    def __init__(self) -> None:
        self.found: list[Finding] = []
        self.more = 0

    def add(self, kind: str, field: str, detail: str, stream: bytes = b"", version: int | None = None) -> None:
        """Take one."""
        if len(self.found) < MOST_FINDINGS:
            self.found.append(Finding(id_of(stream) if stream else "", version, field, kind, detail))
        else:
            self.more += 1

    def untimely(self, one: Untimely) -> None:
        """Take what is wrong with a time."""
        self.add(one.kind, one.field, one.detail, one.stream, one.version)

    def any_of(self, *kinds: str) -> bool:
        """Return whether one of these kinds is there."""
        return any(finding.kind in kinds for finding in self.found)

    def others_than(self, *kinds: str) -> bool:
        """Return whether one of any other kind is there."""
        return any(finding.kind not in kinds for finding in self.found)


def id_of(stream: bytes) -> str:
    """Return an id as people read it."""
    return str(uuid.UUID(bytes=stream))
