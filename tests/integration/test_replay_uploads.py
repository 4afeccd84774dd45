"""Forms with files: what one library recorded answers another, and what stood in the clear answers what is redacted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import requests

from recorder import NoMatchingExchange, Player, Recorder
from tests.commands import run
from tests.wire import Got, wire

FILE = ("a.wav", b"RIFF\x00\xff sound")
FIELDS = {"model": "whisper-1", "account": "17"}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _answer(_: Got) -> bytes:
    return ANSWER


def _record(store: str, **settings: Any) -> str:
    with wire(_answer) as server, Recorder(store, **settings) as recorder, requests.Session() as session:
        recorder.mount(session).post(server.url + "/v1/audio", files={"file": FILE}, data=FIELDS)
        return server.url + "/v1/audio"


@pytest.mark.parametrize("rules", [None, ["body:account"]], ids=["no rule", "a rule"])
def test_what_requests_has_recorded_answers_httpx(rules: list[str] | None, sqlite_url: str) -> None:
    url = _record(sqlite_url, redact=rules)
    account = "99" if rules else "17"
    with Player(sqlite_url) as player, httpx.Client(transport=player.httpx_transport(httpx)) as client:
        assert client.post(url, files={"file": FILE}, data={**FIELDS, "account": account}).content == b"ok"


def test_with_a_rule_for_bodies_another_upload_is_still_a_miss_that_names_the_part(sqlite_url: str) -> None:
    url = _record(sqlite_url, redact=["body:account"])
    with pytest.raises(NoMatchingExchange, match="body part") as miss:
        with Player(sqlite_url) as player, requests.Session() as session:
            player.mount(session).post(url, files={"file": ("a.wav", b"\xff\x00other")}, data=FIELDS)
    assert len(miss.value.differences) == 1
    assert "boundary" not in str(miss.value)


@pytest.mark.parametrize("kind", ["sqlite", "cassette"])
def test_a_recording_of_before_a_built_in_rule_answers(
    kind: str, sqlite_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sqlite_url if kind == "sqlite" else str(tmp_path / "before.jsonl")
    form = {"grant_type": "client_credentials", "client_secret": "plain", "client_id": "me"}
    with monkeypatch.context() as before:  # as a version recorded that knew nothing of such requests
        before.setattr("recorder.core.payload_redaction._may_ask_for_token", lambda _: False)
        before.setattr("recorder.core.payload_redaction.names_a_credential", lambda _: False)
        with wire(_answer) as server, Recorder(store) as recorder, requests.Session() as session:
            recorder.mount(session).post(server.url, data=form)
    if kind == "cassette":
        checked = run("cassette", "check", store)
        assert checked.exit_code == 1
        assert "was recorded before the credentials in it were redacted (body:/client_secret): record" in checked.output
        assert "plain" not in checked.output
    with Player(store) as player, requests.Session() as session:
        assert player.mount(session).post(server.url, data={**form, "client_secret": "dummy"}).content == b"ok"
    with pytest.raises(NoMatchingExchange), Player(store) as player, requests.Session() as session:
        player.mount(session).post(server.url, data={**form, "client_id": "you"})
