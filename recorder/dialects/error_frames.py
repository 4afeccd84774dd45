"""Errors that a server puts in the place of an answer of OpenAI's, or in the midst of one, under status 200.

OpenAI and most who imitate it have ``error`` in them, or call the object so. What stands between them and the caller
(gateways, web frameworks, clouds with formats of their own) sends what it sends elsewhere: ``{"code": 50505,
"message": …}``, ``{"detail": …}``, ``{"success": false, "errorMessage": …}``, ``{"error_code": …, "message": …}``. That
is no proof: a server may tell its state in such words. Therefore such an object counts only where it has no choices,
and what came is not finished without it.
"""

from __future__ import annotations

from typing import Any, Final

from recorder.dialects.base import WAITING

#: Names of fields that nothing but an error has, in small letters and without hyphens and underscores.
_NAMES: Final = frozenset(
    f"{word}{what}" for word in ("error", "err") for what in ("", "s", "code", "msg", "message", "type", "no", "detail")
)
_FAILED: Final = frozenset({"error", "failed", "failure", "fail"})
_FINE: Final = frozenset({"", "0", "200", "ok", "success"})


def is_error(value: Any) -> bool:
    """Return whether a value is an error as OpenAI and its imitators send them, under any of their URLs."""
    return isinstance(value, dict) and ("error" in value or "error" in (value.get("object"), value.get("type")))


def may_be_error(value: Any) -> bool:
    """Return whether a value is an error, or looks like one of another format."""
    return is_error(value) or (isinstance(value, dict) and resembles_error(value))


def resembles_error(value: dict[str, Any]) -> bool:
    """Return whether an object without choices looks like an error of somebody else's format."""
    if value.get("choices"):
        return False
    if any(value.get(name) is False for name in ("success", "ok")) or value.get("detail"):
        return True
    if any(held not in (None, "", 0, "0", False, [], {}) and _plain(name) in _NAMES for name, held in value.items()):
        return True
    status = value.get("status", value.get("status_code", value.get("statusCode")))
    if status in _FAILED if isinstance(status, str) else type(status) is int and status >= 400:
        return True
    code = value.get("code")
    told = any(isinstance(value.get(name), str) and value[name] for name in ("message", "msg"))
    return told and isinstance(code, str | int) and code is not False and str(code).lower() not in _FINE


def says_something(value: dict[str, Any]) -> bool:
    """Return whether an object is more than a sign that somebody is still there."""
    kind = value.get("type", value.get("event"))
    rest = {name for name, held in value.items() if held not in (None, "", [], {})}
    return bool(rest) and not (isinstance(kind, str) and kind.lower() in WAITING)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
