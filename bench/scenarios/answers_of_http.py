"""What HTTP has besides: redirects, cookies, codings, forms, answers without a body, bytes that are no text."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from typing import Any

import httpx
import requests

from bench.scenarios.server import Answer, Hit
from bench.scenarios.trial import Trial, scenario

GROUP = "HTTP"
JSON = ("Content-Type", "application/json")
TEXT = b'{"answer": "gr\xc3\xbc\xc3\x9f"}'
BYTES = bytes(range(256)) * 40


@scenario(GROUP, "vcrpy", "status and reason, of errors too")
def status(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([b"{}"], status="418 Short And Stout"))
    trial.same(lambda session: (lambda got: (got.status_code, got.reason, got.ok))(session.get(url)))


@scenario(GROUP, "vcrpy", "headers, in any case, and those that come twice")
def headers(trial: Trial) -> None:
    fields = [("X-Twice", "1"), ("X-Twice", "2"), JSON]
    url = trial.server.on("/x", Answer([b"{}"], headers=fields))

    def ask(session: requests.Session) -> Any:
        got = session.get(url)
        return got.headers["x-TWICE"], got.raw.headers.getlist("X-Twice"), got.headers["content-type"]

    trial.same(ask)


@scenario(GROUP, "betamax", "bytes that are no text come back exactly")
def binary(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([BYTES], headers=[("Content-Type", "application/octet-stream")]))
    trial.same(lambda session: session.get(url).content, BYTES)


@scenario(GROUP, "betamax", "bytes that are not of the charset that they claim come back exactly")
def wrong_charset(trial: Trial) -> None:
    url = trial.server.on(
        "/x", Answer([b"\xff\xfe caf\xe9 \xe2\x82"], headers=[("Content-Type", "text/plain; charset=utf-8")])
    )
    trial.same(lambda session: session.get(url).content, b"\xff\xfe caf\xe9 \xe2\x82")


@scenario(GROUP, "betamax", "an empty body with a length of 0")
def empty(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([]))
    trial.same(lambda session: (lambda got: (got.content, got.headers["content-length"]))(session.get(url)), (b"", "0"))


@scenario(GROUP, "betamax", "bytes sent that are no text are matched")
def binary_sent(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([b"ok"]))
    trial.same(lambda session: session.post(url, data=BYTES).text, "ok")


@scenario(GROUP, "vcrpy", "text of other scripts in URL and form")
def unicode(trial: Trial) -> None:
    url = trial.server.on("/x", Answer(["ответ".encode()], headers=[("Content-Type", "text/plain; charset=utf-8")]))
    trial.same(lambda session: session.post(url, params={"ключ": "値"}, data={"●‿●": "é"}).text, "ответ")


def coded(trial: Trial, coding: str, body: bytes) -> None:
    url = trial.server.on(
        "/x", Answer([body[:9], body[9:]], "chunked", headers=[JSON, ("Content-Encoding", coding)], gap=0.01)
    )

    def ask(session: requests.Session) -> Any:
        got = session.get(url)
        return got.headers.get("content-encoding"), got.content

    trial.same(ask, (coding, TEXT))


@scenario(GROUP, "vcrpy", "gzip: decoded for the program, its header there")
def gzipped(trial: Trial) -> None:
    coded(trial, "gzip", gzip.compress(TEXT, mtime=0))


@scenario(GROUP, "vcrpy", "deflate")
def deflated(trial: Trial) -> None:
    coded(trial, "deflate", zlib.compress(TEXT))


@scenario(GROUP, "betamax", "a coded body as it came: `raw.read(decode_content=False)`")
def undecoded(trial: Trial) -> None:
    body = gzip.compress(TEXT, mtime=0)
    url = trial.server.on("/x", Answer([body], headers=[("Content-Encoding", "gzip")]))
    trial.same(lambda session: session.get(url, stream=True).raw.read(decode_content=False), body)


@scenario(GROUP, "", "a coding that nobody here can decode (`br` without brotli) comes as it is")
def unknown_coding(trial: Trial) -> None:
    body = b"\x0b\x05\x80hello world\x03"
    url = trial.server.on("/x", Answer([body], headers=[("Content-Encoding", "br")]))
    trial.same(lambda session: session.get(url, stream=True).raw.read(decode_content=False), body)


@scenario(GROUP, "vcrpy", "httpx: gzip")
def gzipped_httpx(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([gzip.compress(TEXT, mtime=0)], headers=[JSON, ("Content-Encoding", "gzip")]))
    trial.same_httpx(lambda client: client.get(url).json(), {"answer": "grüß"})


def redirecting(trial: Trial, relative: bool = False) -> str:
    target = trial.server.on("/there", Answer([b"there"]))
    cookies = [("Set-Cookie", "k1=v1; Path=/"), ("Set-Cookie", "k2=v2; Path=/")]
    return trial.server.on(
        "/here", Answer(status="302 Found", headers=[("Location", "/there" if relative else target), *cookies])
    )


@scenario(GROUP, "vcrpy", "redirects are followed; history and the last URL are there")
def redirects(trial: Trial) -> None:
    url = redirecting(trial)

    def ask(session: requests.Session) -> Any:
        got = session.get(url)
        return got.text, got.url, [each.status_code for each in got.history]

    trial.same(ask)


@scenario(GROUP, "vcrpy", "redirects are not followed where the program says so")
def not_followed(trial: Trial) -> None:
    url = redirecting(trial)
    trial.same(lambda session: session.get(url, allow_redirects=False).status_code, 302)


@scenario(GROUP, "vcrpy", "httpx: redirects to relative places, with history")
def redirects_httpx(trial: Trial) -> None:
    url = redirecting(trial, relative=True)

    def ask(client: httpx.Client) -> Any:
        got = client.get(url)
        return got.text, str(got.url), [each.status_code for each in got.history]

    trial.same_httpx(ask, follow_redirects=True)


def jar_after(asking: requests.Session | httpx.Client, url: str) -> list[str]:
    """Return the names of the cookies that a session, or a client, has after a request."""
    asking.get(url)
    return sorted(asking.cookies.keys())


@scenario(GROUP, "vcrpy", "cookies that are set on the way are in the jar")
def cookies(trial: Trial) -> None:
    url = redirecting(trial)
    trial.same(lambda session: jar_after(session, url), ["k1", "k2"])


@scenario(GROUP, "vcrpy", "basic authentication")
def auth(trial: Trial) -> None:
    def check(hit: Hit, _: int) -> Answer:
        return Answer([b"in"]) if "authorization" in hit.headers else Answer([b"out"], status="401 Unauthorized")

    url = trial.server.on("/x", check)
    trial.same(lambda session: session.get(url, auth=("user", "a word")).text, "in")


@scenario(GROUP, "vcrpy", "an answer of 401 is recorded as any other")
def auth_failed(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([b"out"], status="401 Unauthorized"))
    trial.same(lambda session: session.get(url, auth=("user", "wrong")).status_code, 401)


@scenario(GROUP, "vcrpy", "a form")
def form(trial: Trial) -> None:
    url = trial.server.on("/x", lambda hit, _: Answer([hit.body]))
    trial.same(lambda session: session.post(url, data={"a": "1", "b": "ü"}).content, b"a=1&b=%C3%BC")


@scenario(GROUP, "vcrpy", "a payload that is sent piece by piece")
def generator(trial: Trial) -> None:
    url = trial.server.on("/x", lambda hit, _: Answer([hit.body]))
    trial.same(lambda session: session.post(url, data=iter([b"data", b"to", b"send"])).content, b"datatosend")


@scenario(GROUP, "vcrpy", "a file that is sent, and arrives whole while recording")
def file(trial: Trial) -> None:
    url = trial.server.on("/x", lambda hit, _: Answer([hit.body]))
    trial.same(lambda session: session.post(url, data=io.BytesIO(BYTES)).content, BYTES)


@scenario(GROUP, "vcrpy", "a GET with a JSON content type and no body")
def get_json(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([b"{}"]))
    trial.same(lambda session: session.get(url, headers={"Content-Type": "application/json"}).status_code, 200)


@scenario(GROUP, "", "HEAD, whose length is not that of a body")
def head(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([b"12345"]))
    trial.same(
        lambda session: (lambda got: (got.headers["content-length"], got.content))(session.head(url)), ("5", b"")
    )


@scenario(GROUP, "", "204 and 304: no body, and the connection goes on")
def bodyless(trial: Trial) -> None:
    urls = [
        trial.server.on("/204", Answer(framing="none", status="204 No Content")),
        trial.server.on("/304", Answer(framing="none", status="304 Not Modified")),
        trial.server.on("/200", Answer([b"ok"])),
    ]
    trial.same(lambda session: [(got.status_code, got.content) for got in map(session.get, urls)])


@scenario(GROUP, "", "an answer that ends with its connection")
def closing(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([b"one", b"two"], "close", gap=0.01))
    trial.same(lambda session: session.get(url).content, b"onetwo")


@scenario(GROUP, "vcrpy", "`Connection: close`, twice by one session")
def connection_close(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([b"ok"]))
    fields = {"Connection": "close"}
    trial.same(lambda session: [session.get(url, headers=fields).text for _ in range(2)], ["ok", "ok"])


@scenario(GROUP, "", "`elapsed` and `request` are there as live")
def facts(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([b"ok"]))

    def ask(session: requests.Session) -> Any:
        got = session.post(url, json={"a": 1})
        return got.elapsed.total_seconds() >= 0, got.request.method, got.request.url, got.request.body

    trial.same(ask)


@scenario(GROUP, "vcrpy", "httpx: status, JSON and query")
def httpx_json(trial: Trial) -> None:
    url = trial.server.on("/x", Answer([TEXT], headers=[JSON]))

    def ask(client: httpx.Client) -> Any:
        got = client.get(url, params={"a": 1, "b": "c"})
        return got.status_code, got.json(), str(got.request.url)

    trial.same_httpx(ask)


@scenario(GROUP, "vcrpy", "httpx `AsyncClient`: several requests at once")
def httpx_gathered(trial: Trial) -> None:
    urls = [trial.server.on(f"/{number}", Answer([b"%d" % number])) for number in range(8)]

    async def ask(client: httpx.AsyncClient) -> list[str]:
        return [got.text for got in await asyncio.gather(*map(client.get, urls))]

    trial.same_async(ask, [str(number) for number in range(8)])


@scenario(GROUP, "vcrpy", "httpx: cookies that are set are in the client's jar")
def httpx_cookies(trial: Trial) -> None:
    url = redirecting(trial)
    trial.same_httpx(lambda client: jar_after(client, url), ["k1", "k2"], follow_redirects=True)
