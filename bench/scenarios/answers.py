"""Which answer a request gets: its own, once, and nobody else's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import requests

from bench.scenarios.server import Answer, echo
from bench.scenarios.trial import FailedError, Trial, expect, scenario

GROUP = "answers"


def asking(url: str, *prompts: str) -> Any:
    return lambda session: [session.post(url, json={"q": prompt}).json()["answer"] for prompt in prompts]


@scenario(GROUP, "litellm", "prompts that are asked in another order get their own answers")
def out_of_order(trial: Trial) -> None:
    url = trial.server.on("/chat", echo)
    trial.record(asking(url, "a", "b", "c"))
    expect(trial.play(asking(url, "c", "a", "b")), ["c", "a", "b"], "on replay")


@scenario(GROUP, "litellm", "a prompt that was never recorded is refused")
def never(trial: Trial) -> None:
    url = trial.server.on("/chat", echo)
    trial.record(asking(url, "a"))
    trial.refused(asking(url, "never recorded"))


@scenario(GROUP, "litellm", "the nth same request gets the nth answer")
def nth(trial: Trial) -> None:
    url = trial.server.on("/chat", echo)
    ask: Any = lambda session: [session.post(url, json={"q": "a"}).json()["time"] for _ in range(4)]  # noqa: E731
    trial.record(ask)
    expect(trial.play(ask), [0, 1, 2, 3], "on replay")


@scenario(GROUP, "vcrpy", "a request that is asked once more than it was is refused")
def once_more(trial: Trial) -> None:
    url = trial.server.on("/chat", echo)
    trial.record(asking(url, "a"))
    trial.refused(asking(url, "a", "a"))


@scenario(GROUP, "litellm", "32 same requests at once: each answer is given once")
def concurrent_same(trial: Trial) -> None:
    url = trial.server.on("/chat", echo)
    one: Any = lambda session: session.post(url, json={"q": "a"}).json()["time"]  # noqa: E731
    trial.record(lambda session: [one(session) for _ in range(32)])
    before = len(trial.server.hits)
    with trial.tool.playing(trial.path) as taps, ThreadPoolExecutor(32) as pool:
        session = taps.session()
        found = sorted(pool.map(lambda _: one(session), range(32)))
    trial.quiet(before)
    expect(found, list(range(32)), "on replay")


@scenario(GROUP, "litellm", "32 prompts at once: each gets its own answer")
def concurrent(trial: Trial) -> None:
    url = trial.server.on("/chat", echo)
    prompts = [f"prompt {number}" for number in range(32)]
    one: Any = lambda session, prompt: session.post(url, json={"q": prompt}).json()["answer"]  # noqa: E731
    with trial.tool.recording(trial.path) as taps, ThreadPoolExecutor(16) as pool:
        session = taps.session()
        expect(list(pool.map(lambda prompt: one(session, prompt), prompts)), prompts, "while recording")
    with trial.tool.playing(trial.path) as taps, ThreadPoolExecutor(16) as pool:
        session = taps.session()
        found = list(pool.map(lambda prompt: one(session, prompt), prompts))
    if found != prompts:
        raise FailedError(f"on replay: {sum(a != b for a, b in zip(found, prompts, strict=True))} of 32 get another's")


@scenario(GROUP, "litellm", "members of JSON in another order are the same request")
def member_order(trial: Trial) -> None:
    url = trial.server.on("/chat", echo)
    post: Any = lambda body: lambda session: session.post(url, data=body).json()["answer"]  # noqa: E731
    trial.record(post('{"q": "a", "m": [1, 2]}'))
    expect(trial.play(post('{"m":[1,2],"q":"a"}')), "a", "on replay")


@scenario(GROUP, "vcrpy", "another query is another request")
def query(trial: Trial) -> None:
    url = trial.server.on("/get", Answer([b"one"]))
    trial.same(lambda session: session.get(url, params={"a": "1"}).text, "one")
    trial.refused(lambda session: session.get(url, params={"other": "1"}).text)


@scenario(GROUP, "vcrpy", "another method is another request")
def method(trial: Trial) -> None:
    url = trial.server.on("/get", Answer([b"one"]))
    trial.record(lambda session: session.get(url).text)
    trial.refused(lambda session: session.delete(url).text)


@scenario(GROUP, "", "a miss that the code swallows is told when the block ends")
def swallowed(trial: Trial) -> None:
    url = trial.server.on("/get", Answer([b"one"]))
    trial.record(lambda session: session.get(url).text)
    try:
        with trial.tool.playing(trial.path) as taps:
            session = taps.session()
            with suppress(Exception):
                session.get(url + "/other")
    except Exception:  # noqa: BLE001 - each tool tells by an exception of its own; that it tells is all that counts
        return
    raise FailedError("nothing is told")


@scenario(GROUP, "litellm", "another dummy key in the replay: the same request")
def other_key(trial: Trial) -> None:
    url = trial.server.on("/get", Answer([b"one"]))
    trial.record(lambda session: session.get(url, headers={"Authorization": "Bearer the-real-one"}).text)
    expect(
        trial.play(lambda session: session.get(url, headers={"Authorization": "Bearer dummy"}).text), "one", "replay"
    )


@scenario(GROUP, "litellm", "a form with files whose boundary differs from run to run is the same request")
def boundary(trial: Trial) -> None:
    url = trial.server.on("/upload", Answer([b"taken"]))
    send: Any = lambda session: session.post(url, files={"f": ("a.jsonl", b'{"a": 1}\n')}).text  # noqa: E731
    trial.record(send)
    expect(trial.play(send), "taken", "on replay")


@scenario(GROUP, "litellm", "a file of another content is another request")
def other_file(trial: Trial) -> None:
    url = trial.server.on("/upload", Answer([b"taken"]))
    trial.record(lambda session: session.post(url, files={"f": ("a.jsonl", b"one")}).text)
    trial.refused(lambda session: session.post(url, files={"f": ("a.jsonl", b"two")}).text)


SECRET = "not-a-key-but-as-long-as-one"


def unwritten(trial: Trial, ask: Any) -> None:
    trial.record(ask)
    found = [path for path in trial.folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    if found:
        raise FailedError("it stands in the file")


@scenario(GROUP, "betamax", "a key in a header is not written")
def key_in_header(trial: Trial) -> None:
    url = trial.server.on("/get", Answer([b"one"]))
    unwritten(trial, lambda session: session.get(url, headers={"Authorization": f"Bearer {SECRET}"}))


@scenario(GROUP, "", "a key in a header of another name is not written")
def key_in_other_header(trial: Trial) -> None:
    url = trial.server.on("/get", Answer([b"one"]))
    unwritten(trial, lambda session: session.get(url, headers={"X-Goog-Api-Key": SECRET}))


@scenario(GROUP, "", "a key in the URL is not written")
def key_in_url(trial: Trial) -> None:
    url = trial.server.on("/get", Answer([b"one"]))
    unwritten(trial, lambda session: session.get(url, params={"api_key": SECRET}))


@scenario(GROUP, "litellm", "a cookie that the server sets is not written")
def set_cookie(trial: Trial) -> None:
    url = trial.server.on("/get", Answer([b"one"], headers=[("Set-Cookie", f"session={SECRET}")]))
    unwritten(trial, lambda session: session.get(url))


@scenario(GROUP, "vcrpy", "what was recorded is kept where the block ends by an exception")
def on_exception(trial: Trial) -> None:
    url = trial.server.on("/get", Answer([b"one"]))
    with suppress(ZeroDivisionError), trial.tool.recording(trial.path) as taps:
        taps.session().get(url)
        raise ZeroDivisionError
    expect(trial.play(lambda session: session.get(url).text), "one", "on replay")


@scenario(GROUP, "vcrpy", "a session that was made, and used, before is recorded and played")
def made_before(trial: Trial) -> None:
    url = trial.server.on("/get", Answer([b"one"]))
    session = requests.Session()
    session.get(url)
    with trial.tool.recording(trial.path) as taps:
        taps.adopt(session).get(url)
    before = len(trial.server.hits)
    other = requests.Session()
    other.get(url)
    with trial.tool.playing(trial.path) as taps:
        expect(taps.adopt(other).get(url).text, "one", "on replay")
    trial.quiet(before + 1)


@scenario(GROUP, "vcrpy", "a session that was recorded goes on working afterwards")
def used_after(trial: Trial) -> None:
    url = trial.server.on("/get", Answer([b"one"]))
    with trial.tool.recording(trial.path) as taps:
        session = taps.session()
        session.get(url)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expect(session.get(url).text, "one", "afterwards")
