"""Characters that steer."""

from __future__ import annotations

import sys
import unicodedata

from recorder.core.characters import STEERING


def test_they_are_the_controls_the_surrogates_and_what_turns_the_direction() -> None:
    found = {char for char in map(chr, range(sys.maxunicode + 1)) if STEERING.match(char)}
    named = {char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(char) in ("Cc", "Cs")}
    turning = {
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.bidirectional(char) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    }
    assert found == (named | turning) - {"\t", "\n"}
