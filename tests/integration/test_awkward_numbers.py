"""Numbers that no float writes the same way, in requests, answers and arguments: every command takes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import Result

from recorder import Player, Recorder
from recorder.formats.base import event_formats, formats
from recorder.store import open_store
from tests.building import URL, ExchangeBuilder
from tests.commands import STREAMED, fill, identity_of, run
from tests.loopback import Script, serve
from tests.recorded import exchanges
from tests.unit.formats.importing.test_har import entry, har

NUMBERS = (
    "0.69999999999999996",
    "1.000000000000000001",
    "12345678901234567.25",
    "123456789012345678901234567890",
    "1E+2",
    "-0.0",
    "1e-7",
    "1e400",
    "1e999",
    "1e99999999999999999999",
    "NaN",
)
#: What is in the arguments, and has to be found there to its last digit.
LONG = NUMBERS[:4]
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/g:streamGenerateContent?alt=sse"
ANTHROPIC = "https://api.anthropic.com/v1/messages"
JSON = (("content-type", "application/json"), ("transfer-encoding", "chunked"))
#: The URL, what is asked, what is answered, and the fields of the answer's head.
Sent = tuple[str, bytes, bytes, tuple[tuple[str, str], ...]]


def filled(form: str, number: str) -> bytes:
    """Return *form* with the number in the place of each ``7``."""
    return form.replace("7", number).encode()


def chat(number: str) -> Sent:
    call = '{"id":"c1","type":"function","function":{"name":"send","arguments":"{\\"eth\\": 7}"}}'
    asked = (
        '{"model":"m","temperature":7,"stream":true,"tools":[{"type":"function","function":{"name":"send","parameters":'
        '{"type":"object","minimum":7}}}],"metadata":{"a":7},"messages":[{"role":"user","content":"call me"},'
        '{"role":"assistant","content":null,"tool_calls":[' + call + "]},"
        '{"role":"tool","tool_call_id":"c1","content":"{\\"eth\\": 7}"},'
        '{"role":"user","content":[{"type":"text","text":"again"},{"type":"odd","odd":7}],"more":7}]}'
    )
    said = (
        'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","odd":7,"choices":[{"index":0,'
        '"delta":{"role":"assistant","odd":7,"tool_calls":[' + call.replace("{", '{"index":0,', 1) + ']},"logprobs":{'
        '"content":[{"token":"a","logprob":7}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,'
        '"completion_tokens":7,"total_tokens":2,"cost":7}}\n\ndata: [DONE]\n\n'
    )
    return URL, filled(asked, number), filled(said, number), STREAMED


def gemini(number: str) -> Sent:
    call = '{"functionCall":{"name":"send","args":{"eth": 7, "in": [{"a": 7}]}}}'
    asked = (
        '{"generationConfig":{"temperature":7},"contents":[{"role":"user","parts":[{"text":"call me"}]},'
        '{"role":"model","parts":[' + call + ']},{"role":"user","parts":[{"functionResponse":{"name":"send",'
        '"response":{"eth":7}}},{"odd":7}]}]}'
    )
    said = (
        'data: {"odd":7,"candidates":[{"index":0,"avgLogprobs":7,"content":{"role":"model","parts":[' + call + "]}}]}"
        '\n\ndata: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"functionCall":{"name":"buy",'
        '"willContinue":true,"partialArgs":[{"jsonPath":"$.eth","numberValue":7}]}}]}}]}'
        '\n\ndata: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"functionCall":{}}]},'
        '"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7}}\n\n'
    )
    return GEMINI, filled(asked, number), filled(said, number), STREAMED


def anthropic(number: str) -> Sent:
    call = '{"type":"tool_use","id":"t1","name":"send","input":{"eth":7}}'
    asked = (
        '{"model":"m","max_tokens":9,"temperature":7,"messages":[{"role":"user","content":"call me"},'
        '{"role":"assistant","content":[' + call + ']},{"role":"user","content":[{"type":"tool_result",'
        '"tool_use_id":"t1","content":[{"type":"odd","odd":7}]}]}]}'
    )
    said = (
        '{"id":"m1","type":"message","role":"assistant","model":"m","content":[' + call + ',{"type":"odd","odd":7}],'
        '"stop_reason":"tool_use","usage":{"input_tokens":7,"output_tokens":2}}'
    )
    return ANTHROPIC, filled(asked, number), filled(said, number), JSON


def refused(number: str) -> Sent:
    """What is answered is an error; what was asked is a number alone in a list, with a byte order mark before it."""
    return URL, b"\xef\xbb\xbf" + filled("[7]", number), filled('{"error":{"message":"no","code":7}}', number), JSON


EXCHANGES = [(made, number) for number in NUMBERS for made in (chat, gemini, anthropic, refused)]


def built() -> Iterator[ExchangeBuilder]:
    for at, (made, number) in enumerate(EXCHANGES, 1):
        url, asked, said, headers = made(number)
        status = 400 if made is refused else 200
        yield ExchangeBuilder(at).request(asked, url=url).response(status, headers=headers).chunks(said).completed()


@pytest.fixture(scope="module", params=["sqlite", "cassette"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("numbers")
    made = f"sqlite:///{folder}/a.db"
    fill(made, *built())
    if request.param == "sqlite":
        return made
    ran("cassette", "from-store", str(folder / "a.jsonl"), "--store", made)
    return str(folder / "a.jsonl")


def ran(*args: str, code: int = 0) -> Result:
    result = run(*args)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"recorder {' '.join(args)}") from result.exception
    assert result.exit_code == code, (args, result.stderr, result.stdout[-500:])
    assert "Traceback" not in result.output
    assert "_failed" not in result.output  # that a dialect could not read it
    return result


def bodies(url: str) -> dict[bytes, list[bytes | None]]:
    with closing(open_store(url, write=False)) as store:
        return {
            opened.stream: [event.body for event in events] for opened, events in store.walk() if opened is not None
        }


ALL: dict[bytes, list[bytes | None]] = {one.opened.stream: [event.body for event in one.events] for one in built()}


def test_every_byte_is_kept(url: str, tmp_path: Path) -> None:
    assert bodies(url) == ALL
    ran("cassette", "from-store", str(tmp_path / "b.jsonl"), "--store", url)
    assert bodies(str(tmp_path / "b.jsonl")) == ALL
    ran("cassette", "check", str(tmp_path / "b.jsonl"))
    ran("cassette", "list", str(tmp_path / "b.jsonl"), "--json")
    back = f"sqlite:///{tmp_path}/b.db"
    ran("cassette", "to-store", str(tmp_path / "b.jsonl"), "--store", back)
    assert bodies(back) == ALL
    ran("verify", "--store", url)


@pytest.mark.parametrize("form", sorted({*formats(), *event_formats()}))
def test_every_format_takes_every_number(url: str, form: str, tmp_path: Path) -> None:
    chosen = "--all" if form != "sse" else identity_of(next(built()))
    ran("export", chosen, "--format", form, "-o", str(tmp_path / "out"), "--store", url)
    if form in ("json", "jsonl", "har"):
        text = (tmp_path / "out").read_text()
        assert all(number in text for number in LONG)


@pytest.mark.parametrize("form", sorted(formats()))
@pytest.mark.parametrize("rule", ["text:call me", "text:0.69999999999999996", "json:$.temperature"])
def test_every_format_leaves_out_what_it_should(url: str, form: str, rule: str, tmp_path: Path) -> None:
    chosen = "--all" if form != "sse" else identity_of(next(built()))
    ran("export", chosen, "--format", form, "-o", str(tmp_path / "out"), "--store", url, "--redact", rule)
    assert rule.removeprefix("text:").encode() not in (tmp_path / "out").read_bytes()


@pytest.mark.parametrize("form", ["json", "jsonl", "har"])
def test_what_is_exported_is_there_already(url: str, form: str, tmp_path: Path) -> None:
    out = str(tmp_path / f"out.{form}")
    ran("export", "--all", "--format", form, "-o", out, "--store", url)
    assert f"{len(EXCHANGES)} exchanges there already" in ran("import", out, "--store", url).stdout
    for other in (f"sqlite:///{tmp_path}/c.db", str(tmp_path / "c.jsonl")):
        assert f"{len(EXCHANGES)} exchanges imported" in ran("import", out, "--store", other).stdout
        assert f"{len(EXCHANGES)} exchanges there already" in ran("import", out, "--store", other).stdout
        again = ran("export", "--all", "--format", form, "--store", other).stdout
        assert all(number in again for number in LONG)
        ran("show", identity_of(next(built())), "--json", "--store", other)


def test_every_command_takes_every_number(url: str, tmp_path: Path) -> None:
    store = ("--store", url)
    names = [identity_of(one) for one in built()]
    for name in names if url.startswith("sqlite") else names[:8]:  # a cassette is read anew by each command
        shown = ran("show", name, "--json", *store).stdout
        json.loads(shown, parse_constant=pytest.fail)
    ran("show", names[1], *store)
    for name in names[:4]:
        assert "same bytes" in ran("replay", name, *store).stderr
    ran("diff", names[0], names[4], "--json", *store, code=1)
    ran("diff", names[0], names[0], *store)
    ran("diff", names[0], "--nearest", "--json", *store, code=1)
    (tmp_path / "asked.json").write_bytes(chat("0.69999999999999997")[1])
    ran("diff", "--request", str(tmp_path / "asked.json"), *store, code=1)
    for number in LONG:
        assert ran("search", "--json", number, *store).stdout
    for words in (("list", "--json"), ("list",), ("stats", "--json"), ("stats",)):
        ran(*words, *store)
    ran("events", names[0], "--json", *store)


def test_orders_and_bundles_take_every_number(tmp_path: Path) -> None:
    store = ("--store", f"sqlite:///{tmp_path}/a.db")
    fill(store[1], *built())
    ran("keys", "init", *store)
    ran("db", "rebuild", *store)
    ran("db", "check", *store)
    for at, one in enumerate(islice(built(), 8)):
        ran("link", f"order:{at}", identity_of(one), "--fact", "price=0.69999999999999996", *store)
        assert ran("trace", f"order:{at}", "--json", *store).stdout
        ran("trace", f"order:{at}", *store)
    ran("seal", *store)
    ran("bundle", "--since", "2000-01-01", "-o", str(tmp_path / "a.zip"), *store)
    ran("redact", "set", "--all", "--rule", "json:$.temperature", "--ground", "a", *store)
    ran("export", "--all", "--format", "jsonl", "-o", str(tmp_path / "out"), *store)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_recording_answers_the_same_request(url: str, number: str) -> None:
    _, asked, said, _ = chat(number)
    with Player(url) as player:
        session = player.mount(requests.Session())
        assert session.post(URL, data=asked, headers={"content-type": "application/json"}).content == said


def brought(made: Callable[[str], Sent], number: str, second: int) -> dict[str, Any]:
    url, asked, said, headers = made(number)
    one = entry(startedDateTime=f"2026-01-02T03:00:{second:02d}Z")
    one["request"] |= {"url": url, "postData": {"mimeType": "application/json", "text": asked.decode("utf-8-sig")}}
    one["response"]["content"] = {"mimeType": headers[0][1], "text": said.decode(), "size": len(said)}
    return one


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_others_files_of_any_number_are_imported(name: str, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/{name}" if name.endswith("db") else str(tmp_path / name)
    file = tmp_path / "in.har"
    file.write_text(json.dumps(har(*(brought(*one, second) for second, one in enumerate(EXCHANGES)))))
    assert f"{len(EXCHANGES)} exchanges imported" in ran("import", str(file), "--store", store).stdout
    assert f"{len(EXCHANGES)} exchanges there already" in ran("import", str(file), "--store", store).stdout
    kept = [
        json.loads(line)["recording"]["request_body"]
        for line in ran("export", "--all", "--format", "jsonl", "--store", store).stdout.splitlines()
    ]
    assert sorted(kept) == sorted(made(number)[1].decode("utf-8-sig") for made, number in EXCHANGES)


@pytest.mark.parametrize("drainer", ["thread", "process"])
@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_what_is_recorded_as_it_happens_is_in_the_store(name: str, drainer: str, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/{name}" if name.endswith("db") else str(tmp_path / name)
    asked = [made(number)[1] for made, number in EXCHANGES if made is not refused]  # the server wants an object
    with serve(Script()) as server, Recorder(store, drainer=drainer) as recorder:
        with recorder.mount(requests.Session()) as session:
            for body in asked:
                session.post(server.url, data=body, headers={"content-type": "application/json"})
        recorder.flush()
        assert recorder.health().ok
    kept = exchanges(store).values()
    assert sorted(one.request.payload for one in kept if one.request) == sorted(asked)
