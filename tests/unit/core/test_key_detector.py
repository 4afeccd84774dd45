"""What is taken for a key, whole or cut, and what is not. No key here is anybody's: they are made by the tests."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.detectors import DETECTORS
from recorder.core.exchange import fold
from recorder.core.export_redaction import ExportRedaction
from recorder.dialects.rebuild import rebuild
from tests import corpus
from tests.building import ExchangeBuilder
from tests.redacting import texts_of

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK", "ENCRYPTED PRIVATE KEY")
LINE = "MIIEpAIBAAKCAQEA1234567890abcdefghij+/KLMNOPQRSTUVWXYZabcdefghij"
X40 = "aB3dE6gH9jK2mN5pQ8sT" * 2


def found(text: str) -> list[str]:
    return [text[start:end] for start, end in DETECTORS["key"](text)]


def begin(name: str) -> str:
    return f"-----BEGIN {name}-----"


def end(name: str) -> str:
    return f"-----END {name}-----"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lines", [1, 3, 200, 2000])
def test_a_private_key_is_found_whole_at_any_length(name: str, lines: int) -> None:
    key = "\n".join([begin(name), *[LINE] * lines, "Ab3=", end(name)])
    assert found(f"Here: {key}\nBye.") == [key]


@pytest.mark.parametrize("name", NAMES)
@given(kept=st.integers(1, 3 * len(LINE) + 20))
def test_a_private_key_is_found_where_the_text_ends_inside_it(name: str, kept: int) -> None:
    whole = f"\n{LINE}\n{LINE}\n{LINE}\n{end(name)}"
    key = (begin(name) + whole[:kept]).rstrip("\n")
    assert found(f"Here: {key}") == ([key] if kept > 1 else [])


@pytest.mark.parametrize(
    "body",
    [
        f"\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n{LINE}\n{LINE}",
        f"\nVersion: GnuPG v2\nComment: of nobody\n\n{LINE}\n=aB3d",
        f"\r\n{LINE}\r\n{LINE}",
        f" {LINE} {LINE} MIIC",
        f"\\n{LINE}\\n{LINE}\\nMII",
        f'\\n"\n    "{LINE}\\n"\n    "{LINE}',
        f"\n> {LINE}\n> {LINE}",
        f"\n-{LINE}\n-{LINE}",
        f"\n 2  {LINE}\n 3  {LINE}",
        f"\n    {LINE}\n\n    {LINE}\n    x",
    ],
)
def test_a_private_key_without_an_end_is_found_as_it_is_written_elsewhere(body: str) -> None:
    key = begin("RSA PRIVATE KEY") + body
    assert found(f"{key}\n\nThat is it, and nothing else.") == [key]
    assert found(key) == [key]


def test_what_follows_a_private_key_without_an_end_stays() -> None:
    key = f"{begin('PRIVATE KEY')}\n{LINE}\nAb3="
    assert found(f"```\n{key}\n```\n\nNever share it.\nAnd sk-learn is no key.") == [key]
    assert found(f"{key}\n{begin('PRIVATE KEY')}\n{LINE}\nis the second") == [key, f"{begin('PRIVATE KEY')}\n{LINE}"]


@pytest.mark.parametrize(
    "text", ["Look for {} in the file.", "`{}`, then base64", "{}\n...", "{}\n<your key here>", "{}"]
)
def test_the_first_line_alone_is_no_key(text: str) -> None:
    assert found(text.format(begin("PRIVATE KEY"))) == []


def test_nothing_of_a_private_key_is_in_an_export_of_an_answer_that_was_cut_inside_it() -> None:
    key = f"{begin('PRIVATE KEY')}\n{LINE}\n{LINE}\nMIICzz"
    pieces = [f"Here it is: {key[:9]}", *re.findall(r"[\s\S]{1,7}", key[9:])]
    values = [{"id": "c", "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    builder = ExchangeBuilder().request().response().sse(*values, done=False)
    builder.event("response_truncated")
    before = rebuild(fold(builder.events))
    after = ExportRedaction(["detect:key"], rebuild).exchange(before)
    assert "MII" not in after.exchange.body.decode()
    assert set(texts_of(after)) == {"Here it is: [redacted]"}


TOKENS = {
    "OpenAI": f"sk-proj-{X40}",
    "Anthropic": f"sk-ant-api03-{X40}",
    "OpenRouter": "sk-or-v1-" + "0a1b" * 16,
    "Groq": f"gsk_{X40}",
    "xAI": f"xai-{X40}",
    "Perplexity": f"pplx-{X40}",
    "Replicate": f"r8_{X40[:37]}",
    "Hugging Face": f"hf_{X40[:34]}",
    "NVIDIA": f"nvapi-{X40}",
    "Tavily": f"tvly-dev-{X40[:32]}",
    "LangSmith": "lsv2_pt_" + "0a1b" * 8 + "_" + "0a1b2" * 2,
    "Pinecone": f"pcsk_{X40[:6]}_{X40}",
    "AWS": "AKIA" + "Q7" * 8,
    "AWS, temporary": "ASIA" + "Q7" * 8,
    "Google": "AIza" + X40[:35],
    "Google, access": f"ya29.a0{X40}-_{X40}",
    "Google, client": f"GOCSPX-{X40[:28]}",
    "DigitalOcean": "dop_v1_" + "0a1b" * 16,
    "Databricks": "dapi" + "0a1b" * 8,
    "GitHub": f"ghp_{X40[:36]}",
    "GitHub, fine": f"github_pat_{X40}",
    "GitLab": f"glpat-{X40[:20]}",
    "npm": f"npm_{X40[:36]}",
    "PyPI": f"pypi-AgEIcHlwaS5vcmc{X40}",
    "Docker": f"dckr_pat_{X40[:27]}",
    "Vault": f"hvs.{X40}",
    "SendGrid": f"SG.{X40[:22]}.{X40}abc",
    "Stripe": f"sk_live_{X40}",
    "Stripe, webhook": f"whsec_{X40[:32]}",
    "Slack": f"xoxb-1234567890-1234567890-{X40[:24]}",
    "Slack, application": "xapp-1-A0B1C2D3E4F-1234567890-" + "0a1b" * 16,
    "Telegram": f"123456789:AAH{X40[:32]}",
    "Discord": f"MTIzNDU2Nzg5MDEyMzQ1Njc4.Gx1y2z.{X40[:38]}",
    "Twilio": "SK" + "0a1b" * 8,
    "Mailgun": "key-" + "0a1b" * 8,
    "Shopify": "shpat_" + "0a1b" * 8,
    "Postman": "PMAK-" + "0a1b" * 6 + "-" + "0a1b" * 8,
    "age": "AGE-SECRET-KEY-1" + "QPZRY9X8" * 7,
    "JWT": f"eyJ{X40}.eyJ{X40}.{X40}",
    "JWT, cut": f"eyJ{X40}.eyJ{X40}",
    "JWE": f"eyJ{X40}..{X40}.{X40}.{X40}",
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
@pytest.mark.parametrize("text", ["{}", "with {}, please", "key={}&x=1", '"{}"', "`{}`.", "a\n{}\nb", "({})"])
def test_tokens_of_known_forms(token: str, text: str) -> None:
    assert found(text.format(token)) == [token]


@pytest.mark.parametrize(
    ("before", "token"),
    [
        ("Authorization: Bearer ", X40),
        ("AUTHORIZATION: BEARER ", X40),
        ("bearer\t", "t0" * 12),
        ("BEARER ", "x" * 24),
        ("authorization: Basic ", "bm9ib2R5OnNlY3JldA=="),
        ("https://hooks.slack.com/services/", f"T0000AAAA/B0000BBBB/{X40[:24]}"),
        ("https://hooks.slack.com/workflows/", f"T0000AAAA/A0000BBBB/1234567890/{X40[:24]}"),
        ("https://discord.com/api/webhooks/", f"123456789012345678/{X40}"),
        ("https://api.telegram.org/bot", f"123456789:AAH{X40[:32]}"),
        ("https://x.blob.core.windows.net/a?sv=2022-11-02&sig=", f"{X40}%2Ba%3D"),
        ("DefaultEndpointsProtocol=https;AccountName=x;AccountKey=", f"{X40}{X40}=="),
        ("Endpoint=sb://x/;SharedAccessKey=", f"{X40}abc="),
    ],
)
def test_what_is_a_key_for_what_stands_before_it(before: str, token: str) -> None:
    assert found(f"{before}{token}") == [token]
    assert found(f"say '{before}{token}' now") == [token]


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn, ask-me-anything-about-it, the Bearer of it, eyJ, sk-learn-contrib-for-everybody",
        "The bearer responsibilities, Bearer Responsibilities, BEARER RESPONSIBILITIES, bearer token-authentication",
        "authorization: Bearer ~redacted~authorization~eda089262b36c2db~",
        "npm_config_registry_of_nobody, npm-run-all-of-the-scripts, hf-internal-testing/tiny-random-bert",
        "pypi-server-and-its-documentation, pk_customer_account_identifier, fw-something-or-other-else",
        "monkey-0123, cache-key-0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b, key-value-store-of-everything",
        "Bearer $OPENAI_API_KEY, Bearer <token>, Bearer {token}, SG.com, SG. And then, xapp-of-the-whole-day-long",
        "at 1700000000:12, 12:30:45.123456, 0a1b0a1b-0a1b-0a1b-0a1b-0a1b0a1b0a1b, sha256:" + "0a1b" * 16,
        "SK1234567890 and SK12345678901234567890123456789012, SKU-12345-ABCDEF, AKIA, ASIATIC, xoxo-and-all-the-best",
        "?sig=short&signature=none, https://hooks.slack.com/, https://slack.com/services/apps/and/more/of/it",
        "com.example.package.VeryLongNameOfAClassThatDoesSomething, self.method.of_a_very_long_name_indeed()",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "chatcmpl-9aB3dE6gH9jK2mN5pQ8sTuV, call_aB3dE6gH9jK2mN5pQ8sT, msg_01aB3dE6gH9jK2mN5pQ8sT, req_011CQaB3dE6gH9",
    ],
)
def test_prose_code_and_ids_are_no_keys(text: str) -> None:
    assert found(text) == []


def test_what_this_project_is_written_in_holds_no_keys() -> None:
    files = [*(ROOT / "recorder").rglob("*.py"), *(ROOT / "docs").glob("*.md")]
    assert len(files) > 100
    hits = {path.name: hits for path in files if (hits := found(path.read_text(encoding="utf-8")))}
    assert hits == {}


@corpus.needs_corpus
def test_answers_of_the_corpus_hold_no_keys() -> None:
    hits = {path: found(corpus.stream(path).body.decode("latin-1")) for path in corpus.names("")}
    assert {path: each for path, each in hits.items() if each} == {}


HEAD = begin("RSA PRIVATE KEY")


@pytest.mark.parametrize(
    "unit",
    [
        *(
            f"{HEAD}\n",
            f"{HEAD}\nComment: ",
            f"{HEAD} ",
            f"{HEAD}\n{LINE}\n",
            "-----BEGIN A A A A ",
            "'-",
            " \n",
            "a \n",
        ),
        *("-eyJ" + "a" * 16, "eyJ-", "-eyJ" + "a" * 16 + ".", "eyJ" + "a" * 16 + ".a", "sk-", "a-", "-sk-a_", "xoxo-"),
        *("Bearer ", "bearer a.a.a.a.a.a.a.a.a.a.a.", "SG." + "a" * 30, "MTIz", "1", "12345678:A", "?sig=", "key-0a"),
        *("glpat-", "hooks.slack.com/services/", "ya29.", "/api/webhooks/1234567890123456/", "A", "=", "\\", " ", "\n"),
    ],
)
@pytest.mark.parametrize("before", ["", f"{HEAD}\n"])
def test_long_texts_cost_linear_time(unit: str, before: str) -> None:
    text = before + unit * (120_000 // len(unit)) + "!"
    began = time.process_time()
    found(text)
    assert time.process_time() - began < 2
