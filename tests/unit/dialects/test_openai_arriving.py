"""The text of an answer while it arrives, and at its end: one reading, in any pieces."""

from __future__ import annotations

import pytest

from recorder.core.messages import Answer, RefusalPart
from recorder.dialects.base import Clues
from recorder.dialects.openai_arriving import ArrivingChat
from recorder.dialects.openai_chat import DIALECT

URL = "https://api.example.test/v1/chat/completions"


def delta(fields: bytes, index: int = 0, rest: bytes = b"") -> bytes:
    return b'data: {"choices":[{"index":%d,"delta":{%s}%s}]}\n\n' % (index, fields, rest)


END = b"data: [DONE]\n\n"
LISTED = (
    b'"content":[{"type":"text","text":"listed "},"and ",{"type":"output_text","text":"more"},'
    b'{"type":"text","text":""}]'
)
STREAM = [delta(b'"content":"Hal"'), delta(b'"content":"lo"', rest=b',"finish_reason":"stop"'), END]


def read(pieces: list[bytes]) -> tuple[list[str], list[str], Answer]:
    arriving = ArrivingChat()
    told = [text for piece in pieces for text in arriving.feed(piece)]
    return told, *arriving.close()


@pytest.mark.parametrize(
    ("body", "told", "rest"),
    [
        (b"".join(STREAM), ["Hal", "lo"], []),
        (b"\xef\xbb\xbf\n: there\n\n" + b"".join(STREAM), ["Hal", "lo"], []),
        (delta(LISTED) + END, ["listed ", "and ", "more"], []),
        (
            delta(b'"content":[{"type":"refusal","refusal":"No."}]') + delta(b'"refusal":" Never."'),
            ["No.", " Never."],
            [],
        ),
        (delta(b'"content":"up \\ud83d"') + delta(b'"content":"\\udcc8"') + END, ["up ", "\U0001f4c8"], []),
        (
            delta(b'"content":"\\ud83d"') + delta(b'"content":"b"', 1) + delta(b'"content":"\\udcc8"') + END,
            ["b", "\U0001f4c8"],
            [],
        ),
        (delta(b'"content":"\\ud83d"') + END, [], ["\ufffd"]),
        (delta(b'"reasoning_content":"so"') + delta(b'"content":{"odd":1}') + END, [], []),
        (delta(b'"content":"Hi"') + delta(b"", rest=b',"message":{"content":"Hi"}') + END, ["Hi"], []),
        (delta(b'"role":"assistant"', rest=b',"message":{"content":"Hi","refusal":"No"}') + END, [], ["Hi", "No"]),
        (b' \n{"choices":[{"message":{"content":"whole"}},{"message":{"content":"too"}}]}', [], ["whole", "too"]),
        (b'{"choices":[{"message":{"content":[{"type":"text","text":"whole"}]}}]}', [], ["whole"]),
        (b"<html>", [], []),
        (b" \n", [], []),
        (b"", [], []),
    ],
)
def test_the_text_as_it_arrives_is_what_is_rebuilt(body: bytes, told: list[str], rest: list[str]) -> None:
    arrived, left, answer = read([body])
    assert (arrived, left) == (told, rest)
    assert read([bytes([byte]) for byte in body]) == (arrived, left, answer)
    reader = DIALECT.reader(Clues(URL, "", body))
    reader.feed(body)
    rebuilt = reader.close()
    assert (answer.choices, answer.errors, answer.sentinel_seen) == (
        rebuilt.choices,
        rebuilt.errors,
        rebuilt.sentinel_seen,
    )
    refusals = "".join(
        part.text for one in rebuilt.choices for part in one.message.parts if isinstance(part, RefusalPart)
    )
    whole = "".join(one.message.text for one in rebuilt.choices) + refusals
    assert sorted("".join(arrived + left)) == sorted(whole)


def test_each_piece_is_there_before_the_next_one_came() -> None:
    arriving = ArrivingChat()
    assert [arriving.feed(piece) for piece in STREAM] == [["Hal"], ["lo"], []]
    assert arriving.close()[0] == []
