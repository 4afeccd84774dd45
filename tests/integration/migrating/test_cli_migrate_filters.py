"""``recorder migrate``: what vcrpy was told to take out is in no new file, though an old one still holds it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorder.core.cassette import read_cassette
from tests.commands import run
from tests.integration.migrating.old_suites import answers, lines, old, write

SECRETS = {name: f"not-a-key-but-secret-{name}" for name in ("tenant", "shop", "holder")}
CONFIGURED = {
    "a dict": "return {'filter_headers': ['X-Tenant', 'Content-Type'], **REST}",
    "dict()": "return dict(REST, filter_headers=['x-tenant'])",
    "pairs": "return {'filter_headers': [('x-tenant', lambda *_: 'DUMMY')], **REST}",
    "names": "return {'filter_headers': HEADERS + ['x-other'], **REST}",
    "a name": "return CONFIG",
    "spread": "return {**REST, 'filter_headers': [*HEADERS]}",
    "joined": "return REST | {'filter_headers': ('x-tenant',)}",
    "put into it": "config = dict(REST)\n    config['filter_headers'] = HEADERS\n    return config",
    "updated": "config = REST.copy()\n    config.update(filter_headers=HEADERS)\n    return config",
    "yielded": "yield {**REST, 'filter_headers': list(HEADERS)}",
}
HEAD = """
import os
import pytest
HEADERS = ["x-tenant"]
REST = {"filter_query_parameters": ["shop"], "filter_post_data_parameters": [("holder", None)]}
CONFIG = {**REST, "filter_headers": HEADERS}


@pytest.fixture(scope="module")
def vcr_config():
    """


def a_suite(suite: Path, configured: str) -> Path:
    write(suite / "conftest.py", f"{HEAD}{configured}\n")
    write(suite / "test_bot.py", "import pytest\n@pytest.mark.vcr\ndef test_it(): ...\n")
    cassette = old(
        ({"q": 1, "account": {"holder": SECRETS["holder"]}}, "one"),
        headers={"X-Tenant": SECRETS["tenant"], "Content-Type": "application/json"},
        url=f"https://api.example.test/v1/chat?shop={SECRETS['shop']}",
    )
    write(suite / "cassettes/test_bot/test_it.yaml", cassette)
    return suite / "cassettes/test_bot/test_it.jsonl"


@pytest.mark.parametrize("configured", CONFIGURED.values(), ids=CONFIGURED)
def test_what_filters_name_is_in_no_new_file(suite: Path, configured: str) -> None:
    made = a_suite(suite, configured)
    result = run("migrate", "--json")
    assert result.exit_code == 0, result.output
    text = made.read_text()
    for secret in SECRETS.values():
        assert secret not in text + result.output
    assert {"header:x-tenant", "query:shop", "body:holder"} <= {
        rule.lower() for rule in read_cassette(made.read_bytes()).redact
    }
    assert "application/json" in text  # says how it is to be read: it is no secret
    (one,) = lines(result, "cassette")
    assert one["secrets"] == {"request header:x-tenant": 1, "request url:shop": 1, "request body:/account/holder": 1}
    assert all(secret not in run("migrate").output for secret in SECRETS.values())
    (one,) = lines(run("migrate", "--json"), "cassette")
    assert one["status"] == "present"


def test_what_filters_of_one_test_name(suite: Path) -> None:
    made = a_suite(suite, "return {}")
    write(
        suite / "test_bot.py",
        "import pytest, vcr\nQUERY = ('shop',)\n"
        "@pytest.mark.vcr(filter_headers=['x-tenant'], **{'filter_query_parameters': QUERY})\n"
        "def test_it():\n    with vcr.use_cassette('more.yaml', filter_post_data_parameters=['holder']): ...\n",
    )
    write(suite / "more.yaml", old(({"q": 2}, "two")))
    result = run("migrate")
    assert result.exit_code == 0, result.output
    assert all(secret not in made.read_text() for secret in SECRETS.values())


UNTOLD = {
    "from elsewhere": "from elsewhere import CONFIG as other\n    return {'filter_headers': other}",
    "computed": "return {'filter_headers': [os.environ['NAME'], 'x-tenant']}",
    "made elsewhere": "return make()",
    "twice": "names = ['a']\n    names = ['x-tenant']\n    return {'filter_headers': names}",
}


@pytest.mark.parametrize("configured", UNTOLD.values(), ids=UNTOLD)
def test_filters_that_only_running_the_code_would_tell(suite: Path, configured: str) -> None:
    made = a_suite(suite, configured)
    result = run("migrate", "--json")
    assert result.exit_code == 1
    (one,) = lines(result, "cassette")
    assert (one["status"], one["exchanges"]) == ("refused", 0)
    named = "a filter" if "make()" in configured else "filter_headers"
    (reason,) = one["reasons"]
    assert reason.startswith("conftest.py:")
    assert f"what {named} takes out cannot be told, and must not reach a new file: name it by --redact " in reason
    assert not made.exists()
    # What it says to do is done.
    given = ["--redact", "header:x-tenant", "--redact", "query:shop", "--redact", "body:holder"]
    result = run("migrate", *given)
    assert result.exit_code == 0, result.output
    assert all(secret not in made.read_text() + result.output for secret in SECRETS.values())


def test_a_folder_without_tests_follows_the_filters_above_it(suite: Path) -> None:
    a_suite(suite, "return CONFIG")
    assert run("migrate", "cassettes").exit_code == 0
    made = suite / "cassettes/test_bot/test_it.jsonl"
    assert all(secret not in made.read_text() for secret in SECRETS.values())


def test_one_that_was_made_without_the_rule_is_told(suite: Path) -> None:
    made = a_suite(suite, "return {}")
    assert run("migrate").exit_code == 0
    before = made.read_bytes()
    a_suite(suite, "return CONFIG")
    result = run("migrate", "--json")
    assert result.exit_code == 1
    (one,) = lines(result, "cassette")
    assert one["status"] == "conflict"
    assert "was made without the redaction rule 'query:shop', and may hold what that hides" in str(one["reasons"])
    assert made.read_bytes() == before


def test_what_was_hidden_is_played_all_the_same(suite: Path) -> None:
    a_suite(suite, "return {'filter_headers': HEADERS, 'filter_post_data_parameters': ['holder']}")
    payload = {"q": 1, "account": {"holder": SECRETS["holder"]}}
    write(suite / "cassettes/test_bot/test_it.yaml", old((payload, "one"), headers={"X-Tenant": SECRETS["tenant"]}))
    assert run("migrate").exit_code == 0
    assert answers("cassettes/test_bot/test_it.jsonl", {"q": 1, "account": {"holder": "dummy"}}) == ["one"]
    assert json.dumps(SECRETS["holder"]) not in (suite / "cassettes/test_bot/test_it.jsonl").read_text()
