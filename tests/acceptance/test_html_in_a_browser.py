"""A hostile conversation as HTML in a real browser: all of it is text, nothing of it runs, nothing leaves."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from docs import take_pictures
from recorder.core.characters import STEERING
from tests.browser import Browser, needs_browser
from tests.building import ExchangeBuilder
from tests.commands import fill, identity_of, run

pytestmark = needs_browser

LONG = 10_000_000
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "div", "header", "main", "nav", "aside", "section", "article"),
    *(
        "h1",
        "h2",
        "h3",
        "p",
        "a",
        "code",
        "span",
        "strong",
        "small",
        "ol",
        "ul",
        "li",
        "details",
        "summary",
        "dl",
        "dt",
    ),
    *("dd", "time", "pre"),
}


class _Bait(BaseHTTPRequestHandler):
    """Where everything hostile points to; it keeps what was asked of it."""

    def do_GET(self) -> None:
        assert isinstance(self.server, _BaitServer)
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class _BaitServer(ThreadingHTTPServer):
    """The server of :class:`_Bait`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Bait)
        self.asked: list[str] = []


@contextmanager
def bait() -> Iterator[tuple[str, list[str]]]:
    """Yield the URL of a loopback server, and the paths that were asked of it."""
    with _BaitServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server.asked
        finally:
            server.shutdown()
            thread.join()


def hostile(base: str) -> str:
    """Return a text of what has broken out of transcripts elsewhere; each piece would tell *base*, or open a dialog."""
    return "\n".join(
        [
            "</div></main></body><script>alert('script')</script>",
            f"<script src={base}/script></script><img src={base}/img onerror=alert('img')><svg/onload=alert('svg')>",
            f"</textarea></title></style></noscript></template></iframe><iframe srcdoc=\"<script>fetch('{base}/f')\">",
            f'<meta http-equiv="refresh" content="0;url={base}/refresh"><base href="{base}/">',
            f'<link rel=stylesheet href="{base}/sheet"><link rel=preconnect href="{base}/connect">',
            f"<style>*{{background:url({base}/css)}}</style> \\3c script\\3e \\27 expression(alert(1))",
            f'<object data="{base}/object"></object><video poster="{base}/poster"><audio src="{base}/a" autoplay>',
            "<a href=\"javascript:alert('link')\" autofocus onfocus=alert(2)>x</a> javascript:alert('url')",
            "data:text/html,<script>alert('data')</script> vbscript:x data:image/svg+xml,<svg onload=alert(3)>",
            '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(4)&gt;">',
            "<!-- --> --!> ]]> <![CDATA[ &lt;script&gt; &#60;&#x3c; &amp;amp; ' \" ` ${alert(5)} {{7*7}} <%= 1 %>",
            f'<form action="{base}/form"><button formaction="javascript:alert(6)" autofocus>go</button></form>',
            "right \u202e to left \u2066 isolate \u2069 nul \x00 bell \x07 escape \x1b[31m del \x7f c1 \x9b",
            "paypal\u200b.com p\u0430ypal.com \ufeff \u2028 \u2029 e\u0301 \U000e0041 \ufdd0 \U0001f469\u200d",
        ]
    )


def shown(text: str) -> str:
    """Return *text* as the page has to show it: what would steer, by its number."""
    return STEERING.sub(lambda found: f"U+{ord(found[0]):04X}", text)


def recording(base: str) -> list[ExchangeBuilder]:
    """Return a conversation that has the hostile text wherever a recording has room for one."""
    text = hostile(base)
    name, one_line = text[:500], " ".join(text.split("\n"))
    opening = ExchangeBuilder(1).event("conversation_named", {"name": name, "tags": {name: name}})
    home = {"conversation": identity_of(opening), "name": name}
    url = f"javascript:alert(7)//{base}/<script>alert(8)</script>?\"onload=alert(9)&'"
    call = {"id": text, "type": "function", "function": {"name": text, "arguments": json.dumps({text: text})}}
    cite = {"type": "url_citation", "url_citation": {"url": "javascript:alert(10)", "title": text, "content": text}}
    said = [
        {"role": text, "content": text, "name": text},
        {"role": "user", "content": [{"type": "text", "text": text}, {"type": text, text: text}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:text/html,<script>alert(11)"}}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"{base}/image.png"}}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": text, "content": text},
    ]
    message = {"role": "assistant", "content": text, "reasoning": text, "refusal": text, "tool_calls": [call]}
    message |= {"annotations": [cite], text: text}
    answer = {"id": text, "object": "chat.completion", "model": text, "usage": {text: text, "total_tokens": 1}}
    answer["choices"] = [{"index": 0, "message": message, "finish_reason": text}]
    header = one_line.encode("ascii", "replace").decode().replace("\0", "").replace("\x1b", "")
    headers = [("content-type", "application/json"), ("x-hostile", re.sub(r"[^ -~]", "", header))]
    first = ExchangeBuilder(2).request({"model": text, "messages": said}, url=url, **home)
    first.response(200, re.sub(r"[^ -~]", "", header), headers).chunks(json.dumps(answer).encode()).completed()
    facts = {"method": text, "url": f"{base}/</code><script>alert(12)</script>{text}", "head": 0, **home}
    failed = ExchangeBuilder(3).event("request_sent", facts, text.encode())
    failed.response(500, headers=[("content-type", text.split("\n")[0])]).chunks(text.encode())
    failed.event("response_failed", {"error": {"type": text, "message": text}})
    long = "<b onclick=alert(13)>" * (LONG // 21)
    answer = {"object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": long}}]}
    third = ExchangeBuilder(4).request({"messages": [{"role": "user", "content": "A line of 10 MB."}]}, **home)
    third.response(headers=[("content-type", "application/json")]).chunks(json.dumps(answer).encode()).completed()
    return [opening, first, failed, third]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as started:
        yield started


def test_nothing_of_a_hostile_conversation_runs_or_leaves_and_all_of_it_is_shown(
    sqlite_url: str, tmp_path: Path, browser: Browser
) -> None:
    page = tmp_path / "hostile.html"
    with bait() as (base, asked):
        opening, *exchanges = recording(base)
        fill(sqlite_url, opening, *exchanges)
        result = run("export", identity_of(opening), "--format", "html", "-o", str(page), "--store", sqlite_url)
        assert result.exit_code == 0, result.output
        browser.open(page)
        browser.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
        browser.value("document.querySelectorAll('article').forEach(one => { one.click() })")
        browser.settle(0.5)
        assert (browser.dialogs(), asked, browser.complaints()) == ([], [], [])
        assert browser.requests() == [page.as_uri()]
    assert browser.value("document.scripts.length") == 0
    assert browser.value("document.querySelector('meta[http-equiv=Content-Security-Policy]').content").startswith(
        "default-src 'none'"
    )
    assert set(browser.value("[...new Set([...document.querySelectorAll('*')].map(one => one.localName))]")) <= ELEMENTS
    attributes = "[...new Set([...document.querySelectorAll('*')].flatMap(one => one.getAttributeNames()))]"
    assert not [name for name in browser.value(attributes) if name.startswith("on") or name in ("style", "src")]
    links = browser.value("[...document.links].map(one => one.getAttribute('href'))")
    assert {link for link in links if not link.startswith("#")} == {f"{base}/image.png"}
    texts = browser.value("[...document.querySelectorAll('.text')].map(one => one.textContent)")
    expected = shown(hostile(base))
    assert texts.count(expected) >= 6  # two messages, a tool's result, reasoning, refusal, answer
    assert max(map(len, texts)) == LONG // 21 * 21
    seen = browser.value("[...document.querySelectorAll('.text')].every(one => one.checkVisibility())")
    assert seen
    assert "alert('script')" in browser.value("document.querySelector('h1').innerText")
    assert "<script>alert(8)</script>" in browser.value("document.querySelector('.exchange .facts').innerText")


def test_a_page_that_obeys_is_noticed(tmp_path: Path, browser: Browser) -> None:
    """The test above would notice: the same text without any care runs scripts, opens dialogs and asks the server."""
    page = tmp_path / "careless.html"
    with bait() as (base, asked):
        page.write_text(f"<!DOCTYPE html><body>{hostile(base).replace('http-equiv', 'x')}", encoding="utf-8")
        browser.open(page)
        browser.settle(0.5)
        assert "script" in browser.dialogs()
        assert "/img" in asked
    assert len(browser.requests()) > 1
    assert browser.value("document.scripts.length") > 0


def test_an_ordinary_one_fits_any_window_and_is_printed_unfolded(tmp_path: Path, browser: Browser) -> None:
    page = tmp_path / "ordinary.html"
    page.write_text(take_pictures.page(), encoding="utf-8")
    for width in (320, 1040, 2000):
        browser.open(page, width=width)
        assert browser.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = browser.value(paper)
    browser.open(page, dark=True)
    assert browser.value(paper) != light
    unfolded = "[...document.querySelectorAll('details > div')].every(one => one.checkVisibility())"
    assert not browser.value(unfolded)
    browser.ask("Emulation.setEmulatedMedia", media="print")
    assert browser.value(unfolded)
    browser.ask("Emulation.setEmulatedMedia", media="")
    assert (browser.requests(), browser.complaints()) == ([page.as_uri()], [])
