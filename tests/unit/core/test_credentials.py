"""Which names stand for credentials, and which only sound like it."""

from __future__ import annotations

import pytest

from recorder.core.credentials import is_credential_header, is_credential_parameter


def _names(text: str) -> list[str]:
    return text.split()


BOTH = _names("""
Authorization proxy-authorization X-Api-Key openai_api_key apikey X-Client-Secret my-secret-id X-Auth-Token
token X_Session_Token ocp-apim-subscription-api-key X-CSRFToken x-csrftoken X-AuthToken accessToken accesstoken
Ocp-Apim-Subscription-Key X-Auth-Key X-Access-Key X-Auth X-Authorization Authentication Password X-Password
X-Session-Id sessionId X-Signature X-Amz-Signature X-Hub-Signature-256 x-functions-key AWSAccessKeyId APIKey
DD-APPLICATION-KEY X-Amz-Credential x-goog-iap-jwt-assertion X-PassKey""")
HEADERS = [
    "COOKIE",
    "Set-Cookie",
    "Set-Cookie2",
    "Authentication-Info",
    "Proxy-Authentication-Info",
    *_names("""
key X-Key x-access X-Sid sid sas X-Pat xi-api-key x-goog-api-key X-Access-Token"""),
]
PARAMETERS = _names("""
api_token user_token bot_token csrf_token oauth_token app_secret accessToken private_key
client_assertion assertion license_key pass pw pwd user_pass session sas bearer key code sig sid auth jwt credentials
refresh_token client_secret X-Amz-Security-Token X-Goog-Signature subscription-key user%5Btoken%5D login[password]
access%255Ftoken""")
NEITHER = _names("""
x-ratelimit-remaining-tokens max_tokens max_completion_tokens tokens x-token-count tokenizer token_type
www-authenticate proxy-authenticate content-type x-request-id idempotency-key sec-websocket-key x-cache-key etag
openai-organization author authority monkey keyboard bypass compass passthrough signal session_duration design
x-amz-content-sha256 last-event-id partition-key temperature model""")


@pytest.mark.parametrize("name", [*BOTH, *HEADERS])
def test_headers_with_credentials(name: str) -> None:
    assert is_credential_header(name)
    assert is_credential_header(name.lower().replace("-", "_"))


@pytest.mark.parametrize("name", [*BOTH, *PARAMETERS])
def test_parameters_with_credentials(name: str) -> None:
    assert is_credential_parameter(name)


@pytest.mark.parametrize("name", NEITHER)
def test_names_that_only_sound_like_it(name: str) -> None:
    assert not is_credential_header(name)
    assert not is_credential_parameter(name)


@pytest.mark.parametrize("name", ["page_token", "pageToken", "next_page_token", "NextToken", "continuation-token"])
def test_a_token_that_goes_through_pages_is_none(name: str) -> None:
    assert not is_credential_parameter(name)


def test_what_is_a_credential_as_a_parameter_alone() -> None:
    assert not any(map(is_credential_header, ["code", "page-key"]))
