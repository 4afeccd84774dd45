"""HTML transcripts: everything is shown, nothing recorded is obeyed, and the document is HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.characters import STEERING
from recorder.core.conversation import Conversation
from recorder.core.exchange import fold
from recorder.core.messages import (
    NOT_AS_WRITTEN,
    Anomaly,
    Answer,
    Choice,
    CitationPart,
    MediaPart,
    Message,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.formats import html_format
from recorder.formats.base import render
from recorder.formats.html_text import link
from tests.building import ExchangeBuilder, delta

HTML = "{http://www.w3.org/1999/xhtml}"
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "div", "header", "main", "nav", "aside", "section", "article"),
    *("h1", "h2", "h3", "p", "a", "code", "span", "strong", "small", "ol", "li", "details", "summary"),
}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "rel", "aria-label"}
HOSTILE = (
    "</div></main><script>alert(1)</script><img src=x onerror=alert(1)> <!-- --> ]]> &lt;&#60;&amp;amp; "
    '<a href="javascript:alert(1)">x</a> \' " ` ``` </style></title><svg/onload=alert(1)> javascript:alert(1)'
)


def exchange(*values: Any, said: Any = "Buy or hold?", end: str = "response_completed", number: int = 1) -> Rebuilt:
    messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
    builder = ExchangeBuilder(number).request({"model": "m", "messages": messages}).response()
    folded = fold(builder.sse(*values, done=end == "response_completed").event(end, {}).events)
    assert folded is not None
    return rebuild(folded)


def answer(text: str) -> list[Any]:
    return [delta(role="assistant", content=text), delta(finish="stop") | {"usage": {"total_tokens": 1234}}]


def with_parts(*parts: Part, role: str | None = "assistant") -> Rebuilt:
    """Return an exchange whose answer has these parts, as a dialect of its own would read them."""
    read = Answer("own", "json", choices=(Choice(0, Message(role, parts)),))
    return replace(exchange(*answer("x")), answer=read)


def text_of(*exchanges: Rebuilt, conversation: Conversation | None = None) -> str:
    return "".join(str(piece) for piece in render("html", iter(exchanges), conversation))


def document(*exchanges: Rebuilt, conversation: Conversation | None = None) -> Any:
    """Return the parsed document: HTML without a parse error, of harmless elements and attributes only."""
    text = text_of(*exchanges, conversation=conversation)
    root = html5lib.HTMLParser(strict=True).parse(text.encode(), transport_encoding="utf-8")
    for element in root.iter():
        assert element.tag.removeprefix(HTML) in ELEMENTS
        assert set(element.attrib) <= ATTRIBUTES
        if "href" in element.attrib:
            assert re.match(r"#x-[0-9a-f-]{36}$|#contents$|https?://", element.attrib["href"])
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    inner = {element.attrib["href"][1:] for element in root.iter(HTML + "a") if element.attrib["href"][0] == "#"}
    assert inner <= set(ids)
    return root


def all_text(root: Any) -> str:
    (body,) = root.iter(HTML + "body")
    return all_text_of(body)


def all_text_of(element: Any) -> str:
    return "".join(element.itertext())


def blocks(root: Any, kind: str = "text") -> list[str]:
    return ["".join(one.itertext()) for one in root.iter(HTML + "div") if one.attrib.get("class") == kind]


@pytest.mark.parametrize(("number", "told", "between"), [(1, 1, 0), (2, 2, 0), (4, 4, 0), (9, 2, 7)])
def test_every_report_of_usage_is_there_of_many_the_first_and_the_last(number: int, told: int, between: int) -> None:
    usages = [{"prompt_tokens": 17, "completion_tokens": each} for each in range(1, number + 1)]
    root = document(exchange(*(delta(content="a") | {"usage": each} for each in usages), delta(finish="stop")))
    (folded,) = (one for one in root.iter(HTML + "details") if "Usage as sent" in all_text_of(one))
    assert all_text_of(folded).count('"prompt_tokens": 17') == told
    assert f'"completion_tokens": {number}' in all_text_of(folded)
    assert (f"{between} more reports between these two." in all_text_of(folded)) == bool(between)
    (title,) = folded.iter(HTML + "summary")
    assert title.text == "Usage as sent" + (f", {number} reports" if number > 1 else "")


def test_the_policy_allows_nothing_but_the_style_in_the_document() -> None:
    text = text_of(exchange(*answer("a")))
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline';"
    assert text.index(policy) < text.index("<title>") < text.index("<style>")
    assert text.startswith("<!DOCTYPE html>\n")
    assert not re.search(r"<script|<link|<img|<iframe|url\(|@import|style=", text)


def test_a_conversation_has_contents_messages_once_and_forks() -> None:
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Buy?"}]
    more = [*said, {"role": "assistant", "content": "Hold."}]
    one = exchange(*answer("Hold."), said=said, number=1)
    two = exchange(*answer("Sure."), said=[*more, {"role": "user", "content": "Why?"}], number=2)
    fork = exchange(*answer("No."), said=[*more, {"role": "user", "content": "Sell?"}], number=3)
    conversation = Conversation("o", "desk", (one.id, two.id, fork.id), {two.id: one.id, fork.id: one.id})
    root = document(one, two, fork, conversation=conversation)
    assert blocks(root) == ["Be brief.", "Buy?", "Hold.", "Why?", "Sure.", "Sell?", "No."]
    (title,) = root.iter(HTML + "title")
    assert title.text == "desk"
    (contents,) = root.iter(HTML + "nav")
    lines = ["".join(line.itertext()) for line in contents.iter(HTML + "li")]
    assert [line.split("2026")[0] for line in lines] == ["1. Buy?", "2. Why?", "3. Sell?"]
    assert [line.rpartition(" · ")[2] for line in lines] == ["complete", "complete", "from 1"]
    text = all_text(root)
    assert "Goes on from exchange 1, the one before; 3 messages as there." in text
    assert "Goes on from exchange 1; 3 messages as there." in text
    assert "finish reason stop" in text
    assert "Tokens: total 1,234" in text
    assert [one.attrib["class"].split()[-1] for one in root.iter(HTML + "article")] == [
        *("system", "user", "assistant"),
        *("user", "assistant") * 2,
    ]


def test_an_exchange_alone_says_what_it_goes_on_from() -> None:
    one = exchange(*answer("a"), said=[{"role": "user", "content": "q"}, {"role": "user", "content": "r"}])
    root = document(one, conversation=Conversation("o", None, (one.id,), {one.id: "p" * 36}))
    assert f"Goes on from exchange {'p' * 36}." in all_text(root)
    assert blocks(root) == ["q", "r", "a"]
    assert "Conversation" not in all_text(root)
    assert "Exchanges" in all_text(document())


@pytest.mark.parametrize(
    "hostile", [HOSTILE, "x" * 10_000_000, "a\n" * 9_000 + "b" * 40_000 + "\n", "\n\n a\tb \n", "`" * 50, "ü€😀\ufffd"]
)
def test_any_text_is_shown_as_it_is(hostile: str) -> None:
    one = exchange(*answer(hostile), said=hostile)
    root = document(one, conversation=Conversation("o", hostile[:100], (one.id,)))
    assert blocks(root) == [hostile, hostile]


def test_what_steers_is_shown_by_its_number() -> None:
    text = "a\u202ebc\u2066\0\0\0\x1b[31m\x85\ud800\r\nd\re"
    (shown,) = blocks(document(exchange(said=text)))
    assert shown == "aU+202EbcU+2066U+0000 ×3U+001B[31mU+0085\ufffd\nd\ne"
    whole = text_of(exchange(*answer(text), said=text), conversation=Conversation("o", text, ()))
    assert STEERING.search(whole) is None
    assert '<span class="char">U+202E</span>' in whole
    assert "<title>a\ufffdbc\ufffd" in whole


@given(st.text(st.characters(exclude_categories=["Cn", "Co"])))
def test_no_text_breaks_out(text: str) -> None:
    parts = (TextPart(text), ReasoningPart(text, signature=text), ToolCallPart(text, text, text), OtherPart(text, text))
    one = with_parts(*parts, CitationPart({text: text}, text, text, text), MediaPart(text, text, text), role=text)
    marker = "</main>"
    whole = text_of(one, conversation=Conversation("o", text, (one.id,)))
    whole.encode()
    assert whole.count(marker) == 1
    assert not set(re.findall(r"<([a-z0-9]+)", whole)) - ELEMENTS
    assert STEERING.search(whole) is None


def test_every_kind_of_part() -> None:
    url = "https://x.test/a?b=1&c='2'"
    root = document(
        with_parts(
            ReasoningPart("thought", details=({"d": 1},), signature="sig", encrypted="enc"),
            ReasoningPart(""),
            RefusalPart("refused"),
            ToolCallPart('{"a":1}', "c", "f", complete=True, extras={"e": 1}),
            ToolCallPart('{"b'),
            ToolResultPart("c", "f", "42", failed=True, value=[1]),
            CitationPart({"v": 1}, "quoted", url, "Title"),
            MediaPart("image", "image/png", "javascript:alert(1)", "file-1", 1234, "00ff", {"detail": "low"}),
            OtherPart("odd", {"o": float("nan")}),
            role="tool",
        )
    )
    text = all_text(root)
    for shown in (
        *("Reasoning (7 characters)", "thought", "sig", "enc", "Reasoning (no text was sent)", "Refusal", "refused"),
        *("Tool call f c", "Tool call (name not sent) arguments not known to be complete", '{"b'),
        *("Tool result f c failed", "42", "Citation Title", "quoted", "Image image/png 1,234 bytes file-1"),
        *("SHA-256 00ff", "javascript:alert(1)", '"detail": "low"', "odd", '"o": "NaN"'),
    ):
        assert shown in text
    assert text.count("not known to be complete") == 1
    folded = [one for one in root.iter(HTML + "details") if one.attrib.get("class") == "reasoning"]
    assert len(folded) == 2
    assert not any("open" in one.attrib for one in root.iter(HTML + "details"))
    links = [one for one in root.iter(HTML + "a") if "rel" in one.attrib]
    assert [(one.attrib["href"], one.text) for one in links] == [(url, url)]


@pytest.mark.parametrize(
    "url",
    [
        *("javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//x.test", "https:", "vbscript:x", ""),
        *("https://bank.test@evil.test/", "https://x.test/\u202e", "https://x.test/ a", "https://х.test/"),
        *('https://x.test/"onclick=', "java\nscript:x", " javascript:x", "https://x.test\\@evil.test", "http://[x"),
    ],
)
def test_other_urls_are_text(url: str) -> None:
    assert link(url).startswith("<code>")


def test_links_are_those_of_http_and_https() -> None:
    assert link("HTTP://x.test/?a=1&b=2") == (
        '<a href="HTTP://x.test/?a=1&amp;b=2" rel="noopener noreferrer nofollow">HTTP://x.test/?a=1&amp;b=2</a>'
    )


@pytest.mark.parametrize(
    ("end", "verdict"),
    [("response_truncated", "truncated"), ("consumer_closed", "aborted_by_client"), ("recorder_closed", "unknown")],
)
def test_an_answer_that_is_not_complete_says_so_before_its_first_word(end: str, verdict: str) -> None:
    root = document(exchange(delta(role="assistant", content="cut he"), end=end))
    (main,) = root.iter(HTML + "main")
    text = "".join(main.itertext())
    assert text.index(f" {verdict}\n") < text.index(f"{verdict}: ") < text.index("cut he")
    assert f"The transport ended with {end}, status 200." in text
    assert "finish reason" not in text


def test_a_complete_answer_has_no_banner() -> None:
    assert 'class="banner' not in text_of(exchange(*answer("a")))


def test_errors_failures_and_bodies_that_no_dialect_reads() -> None:
    facts = {"kind": "dns", "phase": "connect", "error": {"message": HOSTILE}}
    failed = fold(ExchangeBuilder().request(b"raw <b>", url="http://x?<script>").event("request_failed", facts).events)
    assert failed is not None
    text = all_text(document(rebuild(failed)))
    assert "errored: The exchange failed. The transport ended with request_failed." in text
    assert "POST http://x?<script>" in text
    assert "Request body (7 bytes)\nraw <b>" in text
    assert '"code": 1' in all_text(document(exchange({"error": {"code": 1}})))
    running = fold(ExchangeBuilder().response(headers=()).chunks(b"<html>\0").events)
    binary = fold(ExchangeBuilder().request({}).response(headers=()).chunks(b"\xff\xfe").completed().events)
    assert running is not None
    assert binary is not None
    text = all_text(document(rebuild(running)))
    assert "no event yet" in text
    assert "Answer, as it came (7 bytes)\n<html>U+0000" in text
    assert "Answer, as it came (2 bytes): it is no text, and not shown." in all_text(document(rebuild(binary)))


def test_an_attempt_that_is_not_the_first_says_so() -> None:
    again = fold(ExchangeBuilder().request({}, attempt=2).events)
    assert again is not None
    assert " · attempt 2 · 0 chunks, 0 bytes\n" in all_text(document(rebuild(again)))


def test_several_choices_roles_names_and_calls() -> None:
    said = [
        {"role": "tool", "name": "t<", "tool_call_id": "c<", "content": "result"},
        {"content": "roleless", "extra": "<x>"},
    ]
    values = [delta(0, role="assistant", content="a"), delta(1, content="b"), delta(0, finish="stop")]
    text = all_text(document(exchange(*values, said=said)))
    for shown in ("name t<", "answers call c<", "role not sent", "assistant (choice 0) · finish reason stop"):
        assert shown in text
    assert "answer, role not sent (choice 1)\n" in text
    assert '"<x>"' in text


def test_what_is_not_as_it_was_written_is_told_above_everything_and_at_the_exchange() -> None:
    one, two = exchange(*answer("a"), number=1), exchange(*answer("b"), number=2)
    touched = replace(two, anomalies=(Anomaly(NOT_AS_WRITTEN, "version <4> is missing"),))
    root = document(one, touched)
    (aside,) = root.iter(HTML + "aside")
    assert "".join(aside.itertext()).endswith("Exchange 2: version <4> is missing\n")
    assert all_text(root).count("version <4> is missing") == 2
    assert "Not as written" not in all_text(document(one))


def test_long_contents_end_and_say_how_many_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_format, "_LISTED", 2)
    root = document(*(exchange(*answer("a"), said="long " * 50, number=number) for number in range(1, 6)))
    (contents,) = root.iter(HTML + "nav")
    assert len(list(contents.iter(HTML + "li"))) == 2
    assert "and 3 more" in "".join(contents.itertext())
    assert "long long …" in "".join(contents.itertext())


def test_exchanges_are_taken_one_by_one() -> None:
    one = exchange(*answer("a"))
    pieces = list(render("html", iter([one, replace(one)])))
    assert len(pieces) == 4
    assert text_of(one) == text_of(one)
