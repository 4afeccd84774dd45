"""Events as the blocks of a binary COPY.

Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final

from recorder.core.events import TYPE_CODES, Event
from recorder.errors import UnknownEventType

COPY: Final = (
    "COPY events (batch, wall_ns, mono_ns, version, type, flags, stream, hash, instance, meta, body) "
    "FROM STDIN (FORMAT BINARY)"
)
HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
#: Rows of a block.
ROWS: Final = 1024
_FIXED: Final = struct.Struct(">hiqiqiqiiihih" + "i16si32s")
_USUAL: Final = struct.Struct(f"{_FIXED.format}iii")  # the same, no instance and no meta, and the body's size
_SIZE: Final = struct.Struct(">i")
_NULL: Final = b"\xff\xff\xff\xff"
_SIZE_16: Final = _SIZE.pack(16)


def packed(events: Sequence[Event], instances: Mapping[bytes, bytes], batch: int) -> bytes:
    """Return events as rows of a COPY.

    :param instances: by stream, who opened it: what an event says of that is stored where it is another one.
    :param batch: the id of the append's row in ``batches``.
    :raises UnknownEventType: an event is of a type that has no code.
    """
    parts: list[bytes] = []
    add, usual, fixed, size, codes = parts.append, _USUAL.pack, _FIXED.pack, _SIZE.pack, TYPE_CODES
    own_of = instances.get
    try:
        for stream, version, kind, wall_ns, mono_ns, instance, flags, meta, body, digest, _ in events:
            code = codes[kind]
            if meta is None and body is not None and own_of(stream) == instance:  # as in almost all
                add(
                    usual(
                        *(11, 8, batch, 8, wall_ns, 8, mono_ns, 4, version, 2, code, 2, flags, 16, stream),
                        *(32, digest, -1, -1, len(body)),
                    )
                )
                add(body)
                continue
            add(
                fixed(
                    *(11, 8, batch, 8, wall_ns, 8, mono_ns, 4, version, 2, code, 2, flags, 16, stream),
                    *(32, digest),
                )
            )
            add(_NULL if own_of(stream) == instance else _SIZE_16 + instance)
            if meta is None:
                add(_NULL)
            else:
                text = meta.encode()
                add(size(len(text)) + text)
            if body is None:
                add(_NULL)
            else:
                add(size(len(body)))
                add(body)
    except KeyError as error:
        raise UnknownEventType(f"unknown event type {error.args[0]!r}: nothing was appended") from None
    return b"".join(parts)
