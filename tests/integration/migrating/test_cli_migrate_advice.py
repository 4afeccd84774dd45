"""``recorder migrate`` advises: what got stricter, the rule that mends it, what has to change and where."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run
from tests.integration.migrating.old_suites import answers, lines, old, write


def stricter(suite: Path, cassette: str, config: str = "{}") -> dict[str, Any]:
    write(suite / "conftest.py", f"import pytest\n\n\n@pytest.fixture\ndef vcr_config():\n    return {config}\n")
    write(suite / "test_bot.py", "def test_it(): ...")
    write(suite / "cassettes/test_bot/test_it.yaml", cassette)
    result = run("migrate", "--json", "--dry-run")
    assert result.exit_code == 0, result.output
    (one,) = lines(result, "cassette")
    return one


def kinds(one: dict[str, Any]) -> list[str]:
    return [each["kind"] for each in one["stricter"]]


def test_what_vcrpy_took_for_the_same(suite: Path) -> None:
    one = stricter(suite, old(({"q": 1}, "one"), ({"q": 2}, "two"), ({"q": 2}, "three")))
    assert kinds(one) == ["told_apart_by_body"]
    assert "3 requests" in one["stricter"][0]["detail"]
    assert "2 bodies" in one["stricter"][0]["detail"]
    # The same value in other words is the same request.
    assert kinds(stricter(suite, old(('{"a":1,"b":2}', "one"), ('{"b": 2, "a": 1.0}', "two")))) == []


def test_bodies_that_were_filtered(suite: Path) -> None:
    one = stricter(suite, old((None, "one"), headers={"Content-Length": "15"}))
    assert kinds(one) == ["body_missing"]
    assert "rules" not in one
    one = stricter(
        suite, old(({"q": 1}, "one"), headers={"Content-Length": "31"}), '{"filter_post_data_parameters": ["user"]}'
    )
    assert kinds(one) == ["body_changed", "placeholder"]
    assert one["rules"] == {"ignore": ["/user"]}
    one = stricter(suite, old(({"q": [{"a/b": "<REDACTED>"}, {"a/b": "x"}]}, "one")))
    assert kinds(one) == ["placeholder"]
    assert one["rules"] == {"ignore": ["/q/*/a~1b"]}
    # A filter that found nothing, and JSON written again, have changed nothing.
    whole = old(('{"q":"é"}', "one"), headers={"Content-Length": "15"})
    assert kinds(stricter(suite, whole, '{"filter_post_data_parameters": ["user"]}')) == []
    one = stricter(suite, old(("", "one"), method="GET"), '{"filter_query_parameters": [("page", "1")]}')
    assert kinds(one) == ["query_filtered"]
    one = stricter(suite, old(({"q": 1}, "one")), "dict(allow_playback_repeats=True)")
    assert (kinds(one), one["rules"]) == (["answered_once"], {"allow_repeats": True})


def test_the_rule_that_is_advised_makes_the_cassette_play(suite: Path) -> None:
    filtered = old(({"q": 1}, "one"), headers={"Content-Length": "31"})
    write(suite / "conftest.py", '@fixture\ndef vcr_config():\n    return {"filter_post_data_parameters": ["user"]}\n')
    write(suite / "test_bot.py", "def test_it(): ...")
    write(suite / "cassettes/test_bot/test_it.yaml", filtered)
    result = run("migrate")
    (command,) = (line.strip() for line in result.stdout.splitlines() if line.strip().startswith("recorder cassette"))
    assert run(*shlex.split(command)[1:]).exit_code == 0
    assert answers("cassettes/test_bot/test_it.jsonl", {"q": 1, "user": "u-17"}) == ["one"]


def test_what_has_to_change_and_where(suite: Path) -> None:
    write(
        suite / "conftest.py",
        """
import pytest
@pytest.fixture(scope="module")
def vcr_config():
    return {
        "record_mode": "once", "filter_headers": ["authorization", ("x-tenant", "é")],
        "match_on": ["uri", "mine"], "ignore_localhost": True,
        "decode_compressed_response": True, "what_is_this": 1,
    }
""",
    )
    write(
        suite / "test_bot.py",
        """
import httpx
import pytest
@pytest.mark.block_network(allowed_hosts=["db.internal"])
@pytest.mark.vcr()
async def test_it(vcr, record_mode): ...
""",
    )
    result = run("migrate", "--json")
    found = {(one["file"], one["line"], one["found"]): one["instead"] for one in lines(result, "change")}
    assert found == {
        ("conftest.py", 4, "fixture vcr_config"): (
            "fixture recorder_config, which returns arguments of recorded(…) as a dict"
        ),
        ("conftest.py", 6, "record_mode of vcr_config"): (
            'mode="once", or --recorder-mode=once; in CI only the command line counts'
        ),
        ("conftest.py", 6, "filter_headers of vcr_config"): (
            'nothing for authorization: built in; redact=["header:x-tenant"]'
        ),
        ("conftest.py", 7, "match_on of vcr_config"): (
            "method, URL and body are always compared; match=Match(custom=FUNCTION) for mine"
        ),
        ("conftest.py", 7, "ignore_localhost of vcr_config"): (
            'allowed_hosts=["localhost"]: what goes past the recording may reach this machine'
        ),
        ("conftest.py", 8, "decode_compressed_response of vcr_config"): (
            "nothing: bodies are kept as they came, and decoded by the client"
        ),
        ("conftest.py", 8, "what_is_this of vcr_config"): (
            "nothing that recorder knows stands for what_is_this: see docs/howto-ci.md"
        ),
        ("test_bot.py", 4, "@pytest.mark.block_network"): (
            "nothing: recorded tests have no network; recorder_block_network = all is for every test"
        ),
        ("test_bot.py", 4, "allowed_hosts of @pytest.mark.block_network"): 'allowed_hosts=["db.internal"]',
        ("test_bot.py", 5, "@pytest.mark.vcr"): (
            "@pytest.mark.recorded, and the test's argument recorded_async_client, given to the code under test"
        ),
        ("test_bot.py", 6, "argument vcr"): "recording (path, mode, misses, unplayed), or recorded_async_client",
        ("test_bot.py", 6, "argument record_mode"): (
            "recording.mode; it is set by --recorder-mode, recorder_mode or @pytest.mark.recorded(mode=…)"
        ),
    }


def test_every_option_of_vcrpy_has_an_answer() -> None:
    vcr = pytest.importorskip("vcr", reason="vcrpy is not installed: pip install '.[bench]'")
    import inspect

    from recorder.api.migration.advice import _OPTIONS

    told = set(inspect.signature(vcr.VCR.__init__).parameters) - {"self"}
    assert told - set(_OPTIONS) == set()
