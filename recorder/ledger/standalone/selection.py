"""What a bundle says that it was made for: whether it can be that, and how people are told of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from recorder.ledger.standalone.findings import id_of
from recorder.ledger.standalone.streams import StreamSummary

_NO_END = 2**63 - 1  # what a period has for an end where none was given


def period_of(selection: Any) -> tuple[int, int] | None:
    """Return the period that a bundle was made for, UTC nanoseconds; None where it was made for no period."""
    period = selection.get("period") if isinstance(selection, dict) else None
    if isinstance(period, list) and [type(one) for one in period] == [int, int]:
        return period[0], period[1]
    return None


def made_for(selection: Any) -> str:
    """Return in words what a bundle says that it was made for; text of the bundle stands in it as it came."""
    if not _has_form(selection):
        return "nothing that a bundle can be made for"
    kind, value = next(iter(selection.items()))
    if kind == "link":
        return f"{value['kind']} {value['id']}, and the exchanges that led to it"
    if kind == "conversation":
        return f"the conversation {value.get('name', value['id'])}"
    if kind == "period":
        ends = [f"since {_moment(value[0])}"] if value[0] > 0 else []
        ends += [f"before {_moment(value[1])}"] if value[1] < _NO_END else []
        return f"everything begun {' and '.join(ends)}" if ends else "everything"
    return f"the exchange {value}"


def wrong_selection(selection: Any, here: Mapping[bytes, StreamSummary], announced: Mapping[bytes, int]) -> str:
    """Return why a bundle cannot have been made for that; nothing where it can.

    What was erased or withheld is not known to say something else.

    :param here: its event streams.
    :param announced: when journals say that exchanges were begun, nanoseconds.
    """
    if not _has_form(selection):
        return "the manifest does not say what the bundle was made for"
    kind, value = next(iter(selection.items()))
    exchanges = {id_of(stream): one for stream, one in here.items() if one.kind == "exchange"}
    if kind == "exchange" and value not in exchanges:
        return f"the exchange that the bundle was made for is not here: {value[:200]!r}"
    if kind == "conversation":
        return _wrong_conversation(value, here)
    if kind == "period":
        for name, one in exchanges.items():
            without = one.last_ns < value[0] or one.began_ns >= value[1]
            if one.length and without and not value[0] <= announced.get(one.stream, -1) < value[1]:
                return f"the exchange {name} was not in the time that the bundle was made for"
    return ""


def link_names(link: StreamSummary, erased: Mapping[str, Any] | None, asked: Any) -> bool:
    """Return whether a link names what was asked for.

    :param erased: what a journal tells of it where it was erased: a digest of what it named.
    """
    if not link.emptied["erased"]:
        return bool({"kind": link.link.get("kind"), "id": link.link.get("id")} == asked)
    if erased is None or not isinstance(asked, dict):
        return False
    thing = f"{asked.get('kind')}:{asked.get('id')}".encode()
    return str(erased.get("thing")) == hashlib.sha256(b"recorder/linked/v1\0" + link.stream + thing).hexdigest()


def _wrong_conversation(asked: Mapping[str, str], here: Mapping[bytes, StreamSummary]) -> str:
    parts = [one for one in here.values() if one.kind in ("exchange", "conversation")]
    if any(sum(one.emptied.values()) for one in parts):
        return ""
    told = "nothing here belongs to the conversation that the bundle was made for: "
    if "name" in asked:
        names = {one.named for one in parts} | {one.sent.get("name") for one in parts}
        return "" if asked["name"] in names else f"{told}{asked['name'][:200]!r}"
    ids = {id_of(one.stream) for one in parts} | {str(one.sent.get("conversation")) for one in parts}
    return "" if asked["id"] in ids else f"{told}{asked['id'][:200]!r}"


def _has_form(selection: Any) -> bool:
    if not isinstance(selection, dict) or len(selection) != 1:
        return False
    ((kind, value),) = selection.items()
    if kind == "period":
        period = period_of(selection)
        return period is not None and period[0] <= period[1]
    if kind == "exchange":
        return isinstance(value, str)
    fields = {"link": {"kind", "id"}, "conversation": {"id"}}.get(kind)
    texts = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    return fields is not None and texts and set(value) - ({"name"} if kind == "conversation" else set()) == fields


def _moment(nanoseconds: int) -> str:
    """Return a time, UTC; its nanoseconds where no calendar has it."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=timezone(timedelta(0))) + timedelta(seconds=nanoseconds // 10**9)
    except OverflowError:
        return f"{nanoseconds} ns"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09}Z"
