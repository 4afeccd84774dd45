"""Ed25519 signatures are verified here with nothing but integers (RFC 8032 §5.1.7).

Verifying a recording must need nothing that has to be installed. Signing is left to a library: it has to keep a
secret, and this code does not run in constant time.

Strict, so that a signature has one form and a key means one thing:

- S must be below the group's order (§5.1.7, step 1), and the encodings of A and R canonical: a y below the field's
  prime, and no sign on an x of 0 (§5.1.3).
- The equation is the one without the cofactor, [S]B = R + [k]A, as OpenSSL and Go have it. R is compared as bytes
  with what the other side of the equation encodes to, which leaves no room for another encoding of it.
- A key of small order is refused: for such a one there are signatures that fit many messages.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

_P: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_D2: Final = 2 * _D % _P
_ROOT_OF_MINUS_1: Final = pow(2, (_P - 1) // 4, _P)
_BASE_Y: Final = 4 * pow(5, -1, _P) % _P

#: Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x*y = T/Z.
_Point = tuple[int, int, int, int]
_NEUTRAL: Final[_Point] = (0, 1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether *signature* is that of *message* by the key *public*.

    :param public: 32 bytes.
    :param signature: 64 bytes.
    """
    if len(signature) != 64:
        return False
    point = _decoded(public)
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or scalar >= _ORDER or _is_small(point):
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    factor = int.from_bytes(hashed, "little") % _ORDER
    x, y, z, t = point
    return _encoded(_sum_of_multiples(scalar, factor, (_P - x, y, z, _P - t))) == signature[:32]


def is_sound(public: bytes) -> bool:
    """Return whether *public* is a key that :func:`verify` can accept a signature of."""
    point = _decoded(public)
    return point is not None and not _is_small(point)


def _decoded(encoded: bytes) -> _Point | None:
    """Return the point that 32 bytes stand for; None where they stand for none (§5.1.3)."""
    if len(encoded) != 32:
        return None
    number = int.from_bytes(encoded, "little")
    return _with_y(number & (1 << 255) - 1, number >> 255)


def _with_y(y: int, sign: int) -> _Point | None:
    if y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    square = v * x * x % _P
    if square == -u % _P:
        x = x * _ROOT_OF_MINUS_1 % _P
    elif square != u:
        return None
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _encoded(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _is_small(point: _Point) -> bool:
    """Return whether the point's order divides the cofactor, 8."""
    x, y, z, _ = _doubled(_doubled(_doubled(point)))
    return x == 0 and y == z


def _added(first: _Point, second: _Point) -> _Point:
    """Return the sum (§5.1.4; complete: it holds for all points)."""
    x1, y1, z1, t1 = first
    x2, y2, z2, t2 = second
    a = (y1 - x1) * (y2 - x2) % _P
    b = (y1 + x1) * (y2 + x2) % _P
    c = t1 * _D2 % _P * t2 % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _doubled(point: _Point) -> _Point:
    x, y, z, _ = point
    a, b = x * x % _P, y * y % _P
    h = a + b
    e = h - (x + y) * (x + y) % _P
    g = a - b
    f = 2 * z * z % _P + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiples(point: _Point) -> list[_Point]:
    """Return the point times 0 to 15."""
    found = [_NEUTRAL, point]
    while len(found) < 16:
        found.append(_added(found[-1], point))
    return found


@cache
def _multiples_of_base() -> list[_Point]:
    base = _with_y(_BASE_Y, 0)
    assert base is not None
    return _multiples(base)


def _sum_of_multiples(scalar: int, factor: int, point: _Point) -> _Point:
    """Return [scalar]B + [factor]point, four bits of both at a time (Straus)."""
    of_base, of_point = _multiples_of_base(), _multiples(point)
    total = _NEUTRAL
    for shift in range(252, -1, -4):
        if total is not _NEUTRAL:
            total = _doubled(_doubled(_doubled(_doubled(total))))
        if digit := scalar >> shift & 15:
            total = _added(total, of_base[digit])
        if digit := factor >> shift & 15:
            total = _added(total, of_point[digit])
    return total
