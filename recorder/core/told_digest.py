"""What an export of ours tells of an exchange beside its bodies, in 32 bytes: to see whether it follows from them.

An import keeps the bodies and reads them anew, so an export in which only what was read was changed would import as if
it were whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

#: Of each part, what is said in it: names and forms of the rest may change from one version to the next.
_SAID: Final = ("type", "text", "name", "arguments_text")
_HEAD: Final = ("method", "url", "status", "verdict")


def told_digest(exchange: Mapping[str, Any]) -> bytes:
    """Return the digest of what ``show --json`` and the exports say was asked and answered.

    :param exchange: as :func:`recorder.core.rebuilt.as_json` makes it; from a file, so it may be anything.
    """
    request, choices = exchange.get("request"), exchange.get("choices")
    answers = [one.get("message") for one in choices if isinstance(one, dict)] if isinstance(choices, list) else None
    told = [
        [exchange.get(name) for name in _HEAD],
        [request.get(name) for name in ("method", "url", "json", "body")] if isinstance(request, dict) else None,
        _messages(exchange.get("messages")),
        _messages(answers),
    ]
    # One side comes from a file that was read with floats, so that is what a number of more digits counts as here.
    written = json.dumps(told, sort_keys=True, separators=(",", ":"), default=_read_again)
    return hashlib.sha256(written.encode("ascii")).digest()


def _read_again(value: Any) -> float:
    """Return a number that json does not write as the one that is read where an export has it.

    :raises TypeError: it is none.
    """
    if not isinstance(value, Decimal):
        raise TypeError(f"a {type(value).__name__} is none of JSON")
    return float(value)


def _messages(messages: Any) -> list[Any] | None:
    if not isinstance(messages, list):
        return None
    return [[one.get("role"), _parts(one.get("parts"))] for one in messages if isinstance(one, dict)]


def _parts(parts: Any) -> list[Any] | None:
    if not isinstance(parts, list):
        return None
    return [[one.get(name) for name in _SAID] for one in parts if isinstance(one, dict)]
