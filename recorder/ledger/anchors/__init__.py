"""Anchors by their texts: ``file:PATH``, ``directory:PATH``, ``command:ARGV…`` and ``rfc3161:URL``."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from recorder.errors import ConfigurationError
from recorder.ledger.anchors.base import Anchor, Checked, StampedTime
from recorder.ledger.anchors.command import CommandAnchor, check_answer
from recorder.ledger.anchors.files import DirectoryAnchor, FileAnchor
from recorder.ledger.anchors.time_stamps import TimeStampAnchor, check_time_stamp, require_client

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = [
    "VARIABLE",
    "Anchor",
    "Checked",
    "StampedTime",
    "check_evidence",
    "open_anchor",
    "open_anchors",
    "split_texts",
]

#: The environment variable that names anchors.
VARIABLE: Final = "RECORDER_ANCHORS"
_SHAPES: Final = "file:PATH, directory:PATH, command:PROGRAM ARGUMENTS… or rfc3161:URL"
_SETTINGS: Final = re.compile(r"#((?:every|ca)=[^#&]+(?:&(?:every|ca)=[^#&]+)*)$")
_KINDS: Final = frozenset({"file", "directory", "command", "rfc3161"})
_SEPARATOR: Final = re.compile(r"\n|;(?=\s*(?:(?:file|directory|command|rfc3161):|$))", re.MULTILINE)


def split_texts(several: str) -> list[str]:
    """Return the anchors of ``RECORDER_ANCHORS``: one a line, or separated by semicolons.

    A command may have semicolons of its own: one separates only where an anchor follows, or nothing.
    """
    return [text for part in _SEPARATOR.split(several) if (text := part.strip())]


def open_anchors(texts: Iterable[str] | None = None) -> list[Anchor]:
    """Return the anchors that texts stand for, see :func:`open_anchor`.

    :param texts: None: those of ``RECORDER_ANCHORS``.
    :raises ConfigurationError: one is no anchor.
    """
    return [open_anchor(text) for text in (split_texts(os.environ.get(VARIABLE, "")) if texts is None else texts)]


def open_anchor(text: str) -> Anchor:
    """Return the anchor that a text stands for; nothing is reached yet.

    :param text: ``file:PATH``, ``directory:PATH``, ``command:PROGRAM ARGUMENTS…`` (as a shell splits it, but without
        one) or ``rfc3161:URL``. At its end may stand settings: ``#every=SECONDS`` from one checkpoint that is anchored
        to the next, ``#ca=FILE`` with the certificates in PEM that a time stamp is checked against, or both with
        ``&`` between them.
    :raises ConfigurationError: it is none of these, or needs the extra ``tsa``, which is not installed. What the text
        holds is not quoted: a URL may have a password.
    """
    kind, separator, rest = text.strip().partition(":")
    settings: dict[str, str] = {}
    if found := _SETTINGS.search(rest):
        rest = rest[: found.start()]
        settings = dict(part.split("=", 1) for part in found[1].split("&"))
    if not separator or kind not in _KINDS or not rest.strip():
        raise ConfigurationError(f"an anchor is not written so: write {_SHAPES}")
    if "ca" in settings and kind != "rfc3161":
        raise ConfigurationError(f"#ca= is for rfc3161 anchors: leave it out of the one of kind {kind}")
    return _opened(kind, rest.strip(), settings)


def _opened(kind: str, rest: str, settings: dict[str, str]) -> Anchor:
    every = {"every_s": _seconds(settings["every"])} if "every" in settings else {}
    if kind == "file":
        return FileAnchor(_path(rest), **every)
    if kind == "directory":
        return DirectoryAnchor(_path(rest), **every)
    if kind == "command":
        try:
            argv = tuple(shlex.split(rest))
        except ValueError as error:
            raise ConfigurationError(f"the command of an anchor cannot be split ({error}): quote it as in sh") from None
        return CommandAnchor(argv, **every)
    parts = urlsplit(rest)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("a time stamping authority is named by a URL: rfc3161:https://HOST/PATH")
    require_client()
    return TimeStampAnchor(rest, _roots(Path(settings["ca"]).absolute()) if "ca" in settings else None, **every)


def _roots(file: Path) -> Path:
    """Refuse now what would fail each time that something is anchored; what reads certificates is not imported yet."""
    try:
        if b"-----BEGIN CERTIFICATE-----" in file.read_bytes():
            return file
    except OSError as error:
        told = f"{file} cannot be read ({error.strerror}): give a file with the authority's root certificate"
        raise ConfigurationError(told) from error
    raise ConfigurationError(f"{file} holds no certificate in PEM: give the authority's root certificate")


def _path(text: str) -> Path:
    """Programs change their directory: what is outside stays where it was."""
    if "\0" in text:
        raise ConfigurationError("the path of an anchor holds a NUL: no file has such a name")
    return Path(text).absolute()


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e9:
        raise ConfigurationError(f"{text[:20]!r} is no number of seconds: write #every=60 after an anchor")
    return found


def check_evidence(
    name: str, note: bytes, evidence: bytes, known: Sequence[Anchor] = (), roots: Sequence[Certificate] = ()
) -> Checked:
    """Say what evidence from a store proves of a checkpoint.

    The name of an anchor in a store is the word of whoever wrote the store: no file is opened and no command asked
    for but those that *known* names.

    :param name: of the anchor, as the store has it.
    :param known: anchors that whoever asks has named himself.
    :param roots: certificates that he trusts, for time stamps.
    """
    for anchor in known:
        if anchor.name == name:
            return anchor.check(note, evidence)
    kind = name.partition(":")[0]
    if kind == "rfc3161":
        try:
            return check_time_stamp(name, note, evidence, list(roots))
        except ConfigurationError as error:
            return Checked("not checked", f"{name} was not looked at: {error}", "nothing until it is read", "anything")
    if kind == "command":
        return check_answer(name, evidence)
    advice = f"name it with --anchor to have it looked at: {name}" if kind in _KINDS else f"{name} is of no known kind"
    return Checked("not checked", advice, "nothing until somebody looks there", "anything")
