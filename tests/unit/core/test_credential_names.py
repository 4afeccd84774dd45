"""Which names of members are those of credentials, and nothing else."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.body_credentials import is_credential_member
from recorder.core.redaction import Redacted, Redaction

CREDENTIALS = [
    *("api_key", "apikey", "apiKey", "API-KEY", "APIKey", "APIKEY", "X-Api-Key", "openai_api_key", "openaiApiKey"),
    *("access_token", "accessToken", "accesstoken", "AccessToken", "user.access.token", "refresh_token", "id_token"),
    *("idToken", "x-id-token", "google_id_token", "client_secret", "clientSecret", "authorization", "Authorization"),
    *("X-Authorization", "proxy-authorization", "authorization_token", "aws_secret_access_key", "private_key"),
    *("Ocp-Apim-Subscription-Key", "aws_security_token", "X-Amz-Security-Token", "awsSecurityToken", "session_token"),
    *("api_secret", "apiToken", "auth_token", "bearerToken", "secret_key", "db_apikey"),
]
OTHERS = [
    *("bid_token", "bidToken", "mid_token", "paid_token", "valid_token", "grid_token", "uuid_token", "okapi_key"),
    *("okapiKey", "prior_authorization", "trade_authorization", "preAuthorization", "security_token", "securityToken"),
    *(
        "bidtoken",
        "lang_id_token",
        "pad_id_token",
        "xauth_token_type",
        "api_keys",
        "key",
        "token",
        "secret",
        "password",
    ),
    *("primary_key", "public_key", "max_tokens", "tokenization", "author", "rapi_key", "unauthorization", ""),
]
WORDS = ("api-key", "access-token", "client-secret", "secret-access-key", "bearer-token", "subscription-key")


@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_name_that_says_nothing_else(name: str) -> None:
    assert is_credential_member(name)
    payload = json.dumps({"a": [{name: "some value"}]}).encode()
    seen = Redacted()
    assert b"some value" not in Redaction(b"k").body(payload, seen)
    assert seen.places == [f"body:/a/0/{name}"]


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_of_something_else(name: str) -> None:
    assert not is_credential_member(name)
    payload = json.dumps({"a": [{name: "some value"}]}).encode()
    assert Redaction(b"k").body(payload, Redacted()) == payload


@given(st.sampled_from(WORDS), st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.sampled_from("-_. "))
def test_other_words_before_a_name_leave_it_one(name: str, word: str, sign: str) -> None:
    written = name.replace("-", sign)
    camel = re.sub("-(.)", lambda found: found[1].upper(), name)
    assert is_credential_member(word + sign + written)
    assert is_credential_member(word + camel[0].upper() + camel[1:])


@given(st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(lambda word: word not in ("x", "proxy")))
def test_authorization_is_one_by_itself_alone(word: str) -> None:
    assert not is_credential_member(f"{word}_authorization")
    assert not is_credential_member(f"{word}Authorization")


@given(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.sampled_from(["-", "_", "."]))
def test_a_word_that_only_ends_like_the_first_one_is_another(word: str, sign: str) -> None:
    """``bid_token`` is no ``id_token``, and ``okapi_key`` no ``api_key``."""
    for name in ("api-key", "id-token", "api-secret"):
        assert not is_credential_member(f"{word}{name.replace('-', sign)}")
