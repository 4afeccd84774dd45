"""Media of messages, by reference: where it is, or the size and the digest of what came inline."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from recorder.core.messages import MediaPart
from recorder.dialects.folding import Place, text_or_none


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
    :param data: base64 of the bytes that came inline.
    """
    if isinstance(url, str) and url[:5].lower() == "data:":
        head, _, data = url[5:].partition(",")
        named = head.partition(";")[0]
        media_type, url = media_type or named or None, None
        if not head.lower().endswith(";base64"):
            data = None
    size = digest = None
    if isinstance(data, str):
        try:
            inline = base64.b64decode(data)
        except (binascii.Error, ValueError):
            extras = {**(extras or {}), "undecodable": True}
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


def joined_base64(pieces: Collection[str]) -> str:
    """Return base64 of all *pieces*, each of which may be padded by itself.

    Of what is no base64, the texts are joined.
    """
    try:
        return base64.b64encode(b"".join(map(base64.b64decode, pieces))).decode("ascii")
    except (binascii.Error, ValueError):
        return "".join(pieces)
