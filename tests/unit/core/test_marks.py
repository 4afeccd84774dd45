"""Marks are those that Unicode calls so."""

from __future__ import annotations

import re
import sys
import unicodedata

from recorder.core.marks import MARKS, OPTIONAL_MARKS

#: Of 15.1, whose marks stand there; what a later one adds is told by that one.
KNOWN = (15, 1)


def test_they_are_those_of_unicode() -> None:
    version = tuple(map(int, unicodedata.unidata_version.split(".")[:2]))
    is_mark, is_optional = re.compile(f"[{MARKS}]").match, re.compile(f"[{OPTIONAL_MARKS}]").match
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        category = unicodedata.category(letter)
        told = is_mark(letter) is not None
        if category == "Cn" or (version > KNOWN and category[0] == "M"):
            continue
        assert told is (category[0] == "M" or letter == "\u200d"), hex(code)
        assert (is_optional(letter) is not None) is (told and letter not in "\u3099\u309a")
