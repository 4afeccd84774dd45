"""Seal before acting, and tie the decision to what it rests on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from recorder.clock import id_text
from recorder.core.events import meta_text
from recorder.errors import ConfigurationError
from recorder.recording.write_path import WritePath

_KIND: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_LONGEST_ID: Final = 200  # characters


def kind_and_id(thing: str) -> tuple[str, str]:
    """Return the kind of something outside and its id there, of a text as ``order:12345``.

    :raises ConfigurationError: it is no such text.
    """
    kind, colon, identity = thing.partition(":")
    if not (kind and colon and identity.strip()):
        told = f"{thing!r} is not KIND:ID" if not (kind and colon and identity) else f"the id in {thing!r} is blank"
        raise ConfigurationError(f"{told}: write KIND:ID, as in order:12345")
    return kind, identity


def link_facts(kind: str, identity: str, exchange: bytes, tag: str | None, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a link, after looking whether they can be recorded as they are.

    :param kind: what is linked: a word, as ``order``.
    :param identity: its id there.
    :param tag: of the receipt that went with it, if any.
    :param facts: further ones: what JSON can say.
    :raises ConfigurationError: one of them cannot be recorded.
    """
    if _KIND.fullmatch(str(kind)) is None:
        raise ConfigurationError(f"the kind of a link is a word in lower-case letters, as 'order', not {kind!r}")
    if not str(identity).strip() or len(str(identity)) > _LONGEST_ID:
        raise ConfigurationError(f"the id of a link is a text of 1 to {_LONGEST_ID} characters, not {identity!r}")
    told: dict[str, Any] = {"kind": kind, "id": str(identity), "exchange": id_text(exchange), "facts": dict(facts)}
    if tag is not None:
        told["tag"] = tag
    try:
        meta_text(told)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"the facts of a link are what JSON can say: {error}") from None
    return told


def link(path: WritePath, facts: Mapping[str, Any]) -> str:
    """Record a link; return its id.

    :param facts: of :func:`link_facts`.
    :raises RecordingError: it could not be recorded, and what is not recorded must not happen.
    """
    writer = path.open_stream(clear=True)
    path.write_apart(writer, "link", "linked", facts)
    return id_text(writer.id)
