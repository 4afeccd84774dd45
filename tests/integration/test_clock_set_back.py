"""What led to an order, and what a conversation was, told in the order of sending when a clock was set back."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from recorder import Recorder
from recorder.clock import SystemClock
from recorder.ledger.standalone.verify import verify_bundle
from tests.commands import json_lines, run
from tests.loopback import Script, serve
from tests.recorded import ask
from tests.sealing import founded

PROMPTS = ("Research: may I buy?", "Buy then?", "How much?")


class SteppedClock(SystemClock):
    """The clock of a host that somebody sets."""

    def __init__(self, off: float = 0.0) -> None:
        super().__init__()
        really, self.off = self.wall_ns, off
        self.wall_ns = lambda: really() + round(self.off * 1e9)


def desk(url: str, clock: SteppedClock, then: Callable[[int], None], prompts: tuple[str, ...] = PROMPTS) -> list[str]:
    """Have a conversation whose last answer leads to an order.

    :param then: called after each exchange with its number.
    """
    ids = []
    with serve(Script(chunks=3)) as server, Recorder(url, clock=clock) as recorder:
        session = recorder.mount(requests.Session())
        with recorder.conversation("desk"):
            for number, prompt in enumerate(prompts):
                response = ask(session, server.url, prompt)
                assert response.content
                ids.append(recorder.exchange(response) or "")
                then(number)
            recorder.seal(response)
            recorder.link(kind="order", id="555", exchange=response)
            assert ask(session, server.url, "And what came after it?").content
    return ids


def traced(url: str) -> list[str]:
    (found,) = json_lines(run("trace", "order:555", "--json", "--store", url), "trace")
    return [step["exchange"] for step in found["steps"]]


def shown(url: str) -> list[str]:
    return [json.loads(line)["id"] for line in run("show", "desk", "--json", "--store", url).stdout.splitlines()]


def bundled(url: str, out: Path) -> str:
    """Return the transcript in a bundle of the order, which verifies."""
    result = run("bundle", "--order", "555", "-o", str(out), "--force", "--store", url)
    assert result.exit_code in (0, 1), result.stderr
    found = verify_bundle(out)
    assert {one["kind"] for one in found["findings"]} <= {"clock", "back_dated"}, found["findings"]
    with zipfile.ZipFile(out) as archive:
        return archive.read("transcript.md").decode()


def in_text(text: str, prompts: tuple[str, ...]) -> list[str]:
    return sorted((one for one in prompts if one in text), key=text.index)


@pytest.mark.parametrize("back", [1, 600])
def test_a_clock_that_is_set_back_hides_nothing_that_led_to_an_order(store_url: str, tmp_path: Path, back: int) -> None:
    founded(store_url)
    clock = SteppedClock()

    def set_back(number: int) -> None:
        if number == 0:
            clock.off = -back

    ids = desk(store_url, clock, set_back)
    assert traced(store_url) == ids
    assert shown(store_url)[:3] == ids
    text = bundled(store_url, tmp_path / "o.zip")
    assert in_text(text, PROMPTS) == list(PROMPTS)
    exported = run("export", "desk", "--format", "markdown", "--store", store_url).stdout
    assert in_text(exported, PROMPTS) == list(PROMPTS)
    assert run("erase", ids[0], "--ground", "g", "--yes", "--store", store_url).exit_code == 0
    assert traced(store_url) == ids
    assert shown(store_url)[:2] == ids[1:], "what is erased is in no conversation"


@pytest.mark.parametrize("back", [1, 600])
def test_what_a_request_repeats_came_before_it_whatever_the_clocks_of_two_hosts_say(store_url: str, back: int) -> None:
    founded(store_url)
    with serve(Script(chunks=3)) as server:
        with Recorder(store_url) as recorder:
            first = ask(recorder.mount(requests.Session()), server.url, PROMPTS[0])
            assert first.content
            begun = recorder.exchange(first) or ""
        answer = Script(chunks=3).text(PROMPTS[0])
        with Recorder(store_url, clock=SteppedClock(-back)) as recorder:
            said = [
                {"role": "user", "content": PROMPTS[0]},
                {"role": "assistant", "content": answer},
                {"role": "user", "content": PROMPTS[1]},
            ]
            url = f"{server.url}/v1/chat/completions"
            body = {"model": "m-1", "stream": True, "messages": said}
            second = recorder.mount(requests.Session()).post(url, json=body)
            assert second.content
            recorder.link(kind="order", id="555", exchange=second)
            ended = recorder.exchange(second) or ""
    assert traced(store_url) == [begun, ended]
