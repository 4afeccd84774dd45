"""Media of messages, by reference: where it is, or the size and the digest of what came inline."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import unquote

from recorder.core.messages import MediaPart
from recorder.dialects.folding import Place, text_or_none

#: Base64 is broken over lines in mail, and so in what was copied from there.
_SPACE: Final = re.compile(r"[ \t\r\n\f\v]+")
_URL_SAFE: Final = str.maketrans("-_", "+/")
_STANDARD: Final = str.maketrans("+/", "-_")


def media(
    kind: str,
    place: Place,
    *,
    media_type: Any = None,
    url: Any = None,
    file_id: Any = None,
    data: Any = None,
    extras: Mapping[str, Any] | None = None,
) -> MediaPart:
    """Return media by reference.

    :param kind: ``image``, ``audio``, ``video`` or ``file``.
    :param url: where it is; of a ``data:`` URL the type and the bytes are taken (RFC 2397).
    :param data: base64 of the bytes that came inline (:func:`decoded`). Of what is none, only the digest of the text
        is kept, as ``encoded_sha256`` beside ``undecodable``: so that one is told from another.
    """
    if isinstance(url, str) and url[:5].lower() == "data:":
        head, _, data = url[5:].partition(",")
        named = head.partition(";")[0]
        media_type, url = media_type or named or None, None
        data = unquote(data) if head.lower().endswith(";base64") else None
    size = digest = None
    if isinstance(data, str):
        inline = decoded(data)
        if inline is None:
            encoded = hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()
            extras = {**(extras or {}), "undecodable": True, "encoded_sha256": encoded}
        else:
            size, digest = len(inline), hashlib.sha256(inline).hexdigest()
    return MediaPart(
        kind,
        text_or_none(media_type),
        text_or_none(url),
        text_or_none(file_id),
        size,
        digest,
        extras or {},
        (place,),
    )


def decoded(text: str) -> bytes | None:
    """Return what base64 stands for, in either alphabet (RFC 4648 §4, §5), padded or not; None where it is none.

    Google's SDK sends back in the URL's alphabet what came in the other one: both are the same bytes. White space does
    not count. A letter of neither alphabet, or of both in one text, is no base64: without it bytes are missing.
    """
    bare = _SPACE.sub("", text)
    if "-" in bare or "_" in bare:
        if "+" in bare or "/" in bare:
            return None
        bare = bare.translate(_URL_SAFE)
    size = len(bare.rstrip("="))
    padding = "=" * (-size % 4)
    if bare[size:] not in ("", padding):
        return None
    try:
        return binascii.a2b_base64(bare[:size] + padding, strict_mode=True)
    except (binascii.Error, ValueError):
        return None


def joined_base64(pieces: Collection[str]) -> str:
    """Return base64 of all *pieces*, each of which may be padded by itself, in the alphabet in which they came.

    Where one before the last is no whole base64, or has no padding, it was cut anywhere: the texts are joined.
    """
    found: list[bytes] = []
    for at, piece in enumerate(pieces, 1):
        told = decoded(piece)
        if told is None or (at < len(pieces) and len(_SPACE.sub("", piece)) % 4):
            return "".join(pieces)
        found.append(told)
    joined = base64.b64encode(b"".join(found)).decode("ascii")
    return joined.translate(_STANDARD) if any("-" in piece or "_" in piece for piece in pieces) else joined
