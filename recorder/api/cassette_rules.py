"""The rules in the first line of a cassette: how its requests are matched, and what was redacted besides."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, cast

from recorder.core.cassette import Cassette
from recorder.core.match_rules import Match
from recorder.core.redaction import Redaction
from recorder.errors import ConfigurationError
from recorder.store.cassette_file import Rules, read_first_line

_ANY_KEY: Final = b"nothing is redacted with it: the rules are only read"


def rules_for(path: Path, match: Match | None, redact: Iterable[str] | str | None) -> Rules:
    """Return the rules by which a cassette is recorded: those of the file where it is there, else what is asked for.

    :param match: how its requests will be matched; None where nothing is asked for.
    :param redact: rules of redaction that are asked for.
    :raises ConfigurationError: the file has other rules, or is no cassette.
    :raises StoreUnreachable: the file cannot be read.
    """
    asked = _texts(redact)
    if not _is_there(path):
        return Rules(None if match is None else match.as_json() or None, asked)
    found = read_first_line(path)  # whoever writes to it reads, and checks, the rest
    if match is not None:
        require_match(path, found, match)
    require_readable(path, found)
    missing = [rule for rule in asked if rule not in found.redact]
    if missing:
        raise ConfigurationError(
            f"{path}, line 1: it was recorded without the redaction rule {missing[0]!r}: record it again, "
            "or leave the rule out"
        )
    return Rules(found.match, found.redact)


def _texts(redact: Iterable[str] | str | None) -> tuple[str, ...]:
    """Return rules of redaction.

    :raises ConfigurationError: they are none.
    """
    given = () if redact is None else (redact,) if isinstance(redact, str) else redact
    found = tuple(given) if isinstance(cast(object, given), Iterable) else given
    Redaction(_ANY_KEY, found)
    return tuple(found)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that may not be looked into: whoever opens it says so
        return True


def require_readable(path: Path, cassette: Cassette) -> None:
    """Refuse a cassette whose rules cannot be understood.

    :raises ConfigurationError: they cannot.
    """
    match_in(path, cassette)
    try:
        Redaction(_ANY_KEY, cassette.redact)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}, line 1: {error}") from None


def match_in(path: Path, cassette: Cassette) -> Match:
    """Return the rules of matching in the first line of a cassette.

    :raises ConfigurationError: they cannot be understood.
    """
    try:
        return Match.from_json(cassette.match or {})
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}, line 1: {error}") from None


def playable_match_in(path: Path, cassette: Cassette) -> Match:
    """Return what :func:`match_in` does, once it is sure that requests can be compared by it.

    :raises ConfigurationError: they cannot be understood, or their callable is not there.
    """
    match = match_in(path, cassette)
    try:
        match.function()
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}, line 1: {error}") from None
    return match


def match_of(path: Path) -> Match:
    """Return the rules of matching of a file, see :func:`match_in`."""
    return match_in(path, read_first_line(path))


def require_match(path: Path, cassette: Cassette, wanted: Match) -> None:
    """Refuse a cassette whose first line has other rules of matching than are asked for.

    :raises ConfigurationError: it has, or its own cannot be understood.
    """
    there = match_in(path, cassette)
    if there.as_json() != wanted.as_json():
        raise ConfigurationError(
            f"{path}, line 1: it is matched by other rules ({there}) than are asked for ({wanted}): "
            f"ask for the same, or change the file by `recorder cassette rules --set JSON {path}`"
        )


def read_match(text: str) -> Match:
    """Return rules of matching that are given as JSON.

    :raises ConfigurationError: they cannot be understood.
    """
    try:
        return Match.from_json(json.loads(text))
    except (ValueError, RecursionError) as error:
        told = f"{text!r} is no JSON ({error}): give an object, as"
        raise ConfigurationError(told + ' {"ignore": ["/user"]}') from None
