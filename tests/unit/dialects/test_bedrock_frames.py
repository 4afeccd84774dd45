"""Both dialects of Bedrock, whatever the frames hold."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from recorder.dialects.base import Clues
from recorder.dialects.bedrock_converse import DIALECT
from recorder.dialects.bedrock_invoke import DIALECT as INVOKE
from tests.unit.dialects.converse_frames import URL, rebuilt
from tests.unit.dialects.wire import EVENTSTREAM, document, framed

ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "contentBlockIndex",
                    "start",
                    "delta",
                    "toolUse",
                    "toolResult",
                    "reasoningContent",
                    "citation",
                    "image",
                    "text",
                    "input",
                    "content",
                    "source",
                    "bytes",
                    "usage",
                    "stopReason",
                    "role",
                    "toolUseId",
                    "name",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
NAMES = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "chunk",
]


@given(st.lists(st.tuples(st.sampled_from(NAMES), ANY), max_size=8))
def test_nothing_raises_whatever_the_frames_hold(events: list[tuple[str, Any]]) -> None:
    body = b"".join(framed(name, value) for name, value in events)
    inside = [{"bytes": base64.b64encode(document({name: value})).decode()} for name, value in events]
    for frames in (body, b"".join(framed("chunk", value) for value in inside)):
        for dialect in (DIALECT, INVOKE):
            clues = Clues(URL, EVENTSTREAM, frames)
            assert 0.0 <= dialect.claims(clues) <= 1.0
            reader = dialect.reader(clues)
            reader.feed(frames)
            for choice in reader.close().choices:
                assert all(part.ranges for part in choice.message.parts)
        rebuilt(frames)
