"""The ways in which people write the fingerprint of a key down, read to them or copied out of something.

A part of the stand-alone verifier: the standard library alone, Python 3.9 or newer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

FINGERPRINT_SIZE = 64  # hexadecimal digits
_LABEL = re.compile(r"(?<![0-9a-z])(?:fingerprint|sha-?256)(?![0-9a-z])|(?<![0-9a-z])0x", re.ASCII)
_APART = re.compile(r"[\s:;,.=\-\u2010-\u2015'\"\u2018-\u201f]")
_WHOLE = re.compile(f"(?:[0-9a-f]{{{FINGERPRINT_SIZE}}})+")
_GROUP = re.compile("[0-9A-Fa-f]{2,}")


def fingerprints_in(text: str) -> list[str]:
    """Return the fingerprints that a text is, each as 64 digits in lower case; none where it is something else.

    Capitals, blanks, colons, hyphens and quotation marks between the digits make no difference, nor do the words
    ``fingerprint`` and ``SHA256`` before them, or ``0x``.
    """
    digits = _APART.sub("", _LABEL.sub("", text.lower()))
    if not _WHOLE.fullmatch(digits):
        return []
    return [digits[at : at + FINGERPRINT_SIZE] for at in range(0, len(digits), FINGERPRINT_SIZE)]


def groups_joined(arguments: Iterable[str], option: str) -> list[str]:
    """Return arguments of a command line with a fingerprint that had no quotation marks made one argument.

    :param option: before a fingerprint, as ``--key``. What follows on it is joined while it is groups of digits and
        there are less than 64; so nothing else, a file for example, is taken for a part of it.
    """
    joined: list[str] = []
    wanted = 0  # digits that may still follow
    after_option = False
    for argument in arguments:
        told = argument[len(option) + 1 :] if argument.startswith(f"{option}=") else argument if after_option else ""
        if told:
            wanted = FINGERPRINT_SIZE - len(told) if _GROUP.fullmatch(told) else 0
            joined.append(argument)
        elif _GROUP.fullmatch(argument) and len(argument) <= wanted:
            wanted -= len(argument)
            joined[-1] += f" {argument}"
        else:
            wanted = 0
            joined.append(argument)
        after_option = argument == option
    return joined
