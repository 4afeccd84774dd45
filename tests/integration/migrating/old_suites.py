"""Suites of vcrpy's plugins: their cassettes, and what ``recorder migrate`` says of them and makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests
import yaml
from click.testing import Result
from jsonschema import Draft202012Validator

from recorder import Player
from tests.commands import SCHEMAS

URL = "https://api.example.test/v1/chat"


def old(*pairs: tuple[Any, str], headers: dict[str, str] | None = None, url: str = URL, method: str = "POST") -> str:
    """Return a cassette of vcrpy's; payloads are JSON values, or texts as they are."""
    interactions = [
        {
            "request": {
                "method": method,
                "uri": url,
                "body": payload if isinstance(payload, str | None) else json.dumps(payload),
                "headers": {name: [value] for name, value in (headers or {}).items()},
            },
            "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": answer}},
        }
        for payload, answer in pairs
    ]
    return yaml.safe_dump({"interactions": interactions, "version": 1})


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lines(result: Result, kind: str) -> list[dict[str, Any]]:
    validator = Draft202012Validator(json.loads((SCHEMAS / "migrate.schema.json").read_text(encoding="utf-8")))
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for one in found:
        validator.validate(one)
    assert found[-1]["kind"] == "summary"
    return [one for one in found if one["kind"] == kind]


def answers(cassette: str, *asked: Any) -> list[str]:
    with Player(cassette) as player:
        session = player.mount(requests.Session())
        return [session.post(URL, json=each).text for each in asked]
