"""Arguments that a dialect sends as JSON values: of each call of the corpus, the text that stands in the body."""

from __future__ import annotations

import json

from recorder.core.content_coding import undo
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of

pytestmark = corpus.needs_corpus


def test_their_text_is_what_stands_in_the_body() -> None:
    found = 0
    for name in corpus.names("gemini"):
        rebuilt = rebuilt_of(corpus.stream(name))
        assert rebuilt.exchange.response is not None
        body = undo(rebuilt.exchange.body, rebuilt.exchange.response.header("content-encoding")).body
        for call in (call for choice in rebuilt.answer.choices for call in choice.message.tool_calls):
            found += 1
            assert call.arguments_text
            assert call.arguments_text.encode() in body
            assert call.arguments == json.loads(call.arguments_text)
    assert found == 9
