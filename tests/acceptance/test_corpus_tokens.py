"""What every stream of the corpus was counted, against the total that its provider reported beside it."""

from __future__ import annotations

import pytest

from recorder.core.message_json import tokens_json
from recorder.core.statistics import collect
from recorder.core.token_counting import whole_input, whole_output
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of

pytestmark = corpus.needs_corpus

#: 221 of the prompt, 20 of the completion, 147 of reasoning beside it
XAI = "streams/social-growth-studio__req_llm/grok-code-fast-1-streaming-0-c9a9cec3.sse"


@pytest.mark.parametrize("path", corpus.names(""))
def test_input_and_output_are_the_total(path: str) -> None:
    answer = rebuilt_of(corpus.stream(path)).answer
    counted = tokens_json(answer.tokens) or {}
    if "total" in counted:
        whole = (whole_input(counted, answer.dialect) or 0) + (whole_output(counted, answer.dialect) or 0)
        assert whole == counted["total"]


@pytest.mark.parametrize(("prices", "cost"), [({"input": 1e6, "output": 1e6}, 388), ({"output": 1e6}, 167)])
def test_reasoning_that_is_counted_beside_the_output_is_charged(prices: dict[str, float], cost: float) -> None:
    answer = rebuilt_of(corpus.stream(XAI)).answer
    counted = tokens_json(answer.tokens)
    row = {"model": "m", "verdict": "complete", "bytes": 0, "dialect": answer.dialect, "tokens": counted}
    total, _ = collect([row], prices={"m": prices})
    assert total.cost == cost
