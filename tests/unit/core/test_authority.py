"""On whose word something was erased, in words."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.authority import on_whose_word


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"by": "ann", "ground": "art. 17"}, "by ann: art. 17"),
        (
            {"by": "ann", "ground": "g", "approved_by": "bob", "vouched_by": "eve", "overrides": ["h-1", "retention"]},
            "by ann, approved by bob, vouched for by eve, in spite of h-1, retention: g",
        ),
        ({"by": "ann", "ground": "g", "overrides": []}, "by ann: g"),
        ({"overrides": "none"}, "by nobody who is named: no ground is told"),
    ],
)
def test_all_that_is_on_record_is_said(record: dict[str, Any], told: str) -> None:
    assert on_whose_word(record) == told
