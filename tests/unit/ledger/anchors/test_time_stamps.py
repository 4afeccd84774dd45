"""Time stamps by an authority of openssl: what verifies, what does not, and what is said of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests
import rfc3161_client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.errors import AnchorFailed, ConfigurationError
from recorder.ledger.anchors.time_stamps import TimeStampAnchor, check_time_stamp, read_roots
from recorder.ledger.anchors.tsa_reply import sorted_certificates
from tests.tsa import Authority, Served, serving
from tests.unit.ledger.anchors.noted import note

SECOND = 10**9


def anchor_of(tsa: Served) -> TimeStampAnchor:
    return TimeStampAnchor(tsa.url, tsa.authority.roots)


def test_a_time_stamp_says_when_and_by_whom(tsa: Served) -> None:
    before = time.time_ns()
    evidence = anchor_of(tsa).leave(note(7))
    after = time.time_ns()
    checked = anchor_of(tsa).check(note(7), evidence)
    assert checked.state == "confirmed"
    assert checked.told.startswith("CN=Test tsa,O=Test authority stamped this checkpoint of 7 leaves 20")
    assert "give or take 1.5 s" in checked.told
    assert checked.time is not None
    assert checked.time.not_before_ns <= before
    assert after <= checked.time.not_after_ns < after + 4 * SECOND
    assert checked.time.not_after_ns - checked.time.not_before_ns == 4 * SECOND


def test_the_question_is_as_rfc_3161_has_it(tsa: Served) -> None:
    anchor_of(tsa).leave(note(7))
    [headers] = tsa.headers
    assert headers["Content-Type"] == "application/timestamp-query"
    assert len(tsa.asked) == 1


@pytest.mark.parametrize(
    ("written", "apart_ns"), [("", 0), ("millisecs:20", 20_000_000), ("secs:2, microsecs:7", 2 * SECOND + 7000)]
)
def test_an_accuracy_in_part_or_none(written: str, apart_ns: int, tmp_path: Path) -> None:
    with serving(Authority(tmp_path, accuracy=written, digits=3)) as tsa:
        checked = anchor_of(tsa).check(note(7), anchor_of(tsa).leave(note(7)))
        assert checked.time is not None
        assert checked.time.at_ns - checked.time.not_before_ns == apart_ns
        assert checked.time.not_after_ns - checked.time.at_ns == apart_ns + SECOND
        assert ("give or take" in checked.told) == bool(written)


def test_certificates_in_the_order_of_the_chain_are_read(tsa: Served) -> None:
    evidence = anchor_of(tsa).leave(note(7))
    with pytest.raises(ValueError, match="InvalidSetOrdering"):  # what the library says to it as it came
        rfc3161_client.decode_timestamp_response(evidence)
    assert anchor_of(tsa).check(note(7), evidence).state == "confirmed"


def test_without_roots_nothing_is_proved(tsa: Served) -> None:
    unchecked = TimeStampAnchor(tsa.url)
    checked = unchecked.check(note(7), unchecked.leave(note(7)))
    assert (checked.state, checked.time) == ("not checked", None)
    assert "no root certificate was given" in checked.told


def test_roots_of_somebody_else_do_not_vouch(tsa: Served, tmp_path: Path) -> None:
    other = Authority(tmp_path)
    evidence = anchor_of(tsa).leave(note(7))
    checked = check_time_stamp("x", note(7), evidence, read_roots(other.roots))
    assert checked.state == "contradicted"
    assert "the given certificates do not vouch for its signature" in checked.told
    assert "certificate verify error" in checked.told
    assert "Stack" not in checked.told
    assert ".c" not in checked.told
    with pytest.raises(AnchorFailed, match="does not verify"):
        TimeStampAnchor(tsa.url, other.roots).leave(note(7))


def test_a_certificate_that_is_not_for_time_stamps_does_not_count(authority: Authority) -> None:
    evidence = authority.reply(_query(note(7)))
    # Trusted, but of a certificate for servers (1.3.6.1.5.5.7.3.1) instead of time stamps (….8).
    assert evidence.count(bytes.fromhex("06082b06010505070308")) == 1
    swapped = evidence.replace(bytes.fromhex("06082b06010505070308"), bytes.fromhex("06082b06010505070301"))
    assert check_time_stamp("x", note(7), swapped, read_roots(authority.roots)).state == "contradicted"


def _query(data: bytes) -> bytes:
    builder = rfc3161_client.TimestampRequestBuilder(data, rfc3161_client.HashAlgorithm.SHA256)
    return builder.build().as_bytes()


def test_a_reply_to_another_question_is_refused(tsa: Served) -> None:
    kept = tsa.authority.reply(_query(note(7)))
    tsa.spoil = lambda reply: kept
    with pytest.raises(AnchorFailed, match="its nonce is another one"):
        anchor_of(tsa).leave(note(7))


def test_a_reply_about_something_else_is_refused(tsa: Served) -> None:
    tsa.spoil = lambda reply: tsa.authority.reply(_query(note(8)))
    with pytest.raises(AnchorFailed, match="of something else than this checkpoint"):
        anchor_of(tsa).leave(note(7))


def test_a_digest_by_another_algorithm_is_not_taken(tsa: Served) -> None:
    builder = rfc3161_client.TimestampRequestBuilder(note(7), rfc3161_client.HashAlgorithm.SHA512)
    (tsa.authority.folder / "tsa.cnf").write_text(
        (tsa.authority.folder / "tsa.cnf").read_text().replace("digests = sha256\n", "digests = sha256, sha512\n")
    )
    evidence = tsa.authority.reply(builder.build().as_bytes())
    assert "something else" in anchor_of(tsa).check(note(7), evidence).told


def test_a_refusal_is_told(tsa: Served) -> None:
    refused = tsa.authority.reply(_query(note(7))[:-8])  # cut: it answers that the format is bad
    tsa.spoil = lambda reply: refused
    with pytest.raises(AnchorFailed, match="it was not granted, status 2"):
        anchor_of(tsa).leave(note(7))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((503, "text/html", b"busy"), "answered with the status 503"),
        ((302, "text/html", b""), "answered with the status 302"),
        ((200, "text/html", b"<html>log in</html>"), r"did not answer with a time stamp \(text/html\)"),
        ((200, "application/timestamp-reply", bytes(300_000)), "did not answer with a time stamp"),
        ((200, "application/timestamp-reply", b""), "cannot be read after RFC 3161"),
        ((200, "application/timestamp-reply", b"0\x03\x02\x01\x00"), "does not verify"),
    ],
)
def test_what_is_no_reply_is_told(answer: tuple[int, str, bytes], told: str, tsa: Served) -> None:
    tsa.answer = answer
    with pytest.raises(AnchorFailed, match=told):
        anchor_of(tsa).leave(note(7))


def test_an_authority_that_is_not_there() -> None:
    with pytest.raises(AnchorFailed, match=r"cannot be reached \(ConnectionError\): check its URL and the network"):
        TimeStampAnchor("http://127.0.0.1:9/tsr").leave(note(7))


def test_what_may_be_secret_in_a_url_is_told_nowhere() -> None:
    anchor = TimeStampAnchor("http://user:s3cret@127.0.0.1:9/tsr?key=s3cret")
    assert anchor.name == "rfc3161:http://127.0.0.1:9/tsr"
    with pytest.raises(AnchorFailed) as failed:
        anchor.leave(note(7))
    assert "s3cret" not in str(failed.value)


def test_every_changed_byte_of_a_time_stamp_is_noticed_or_means_nothing(authority: Authority) -> None:
    roots = read_roots(authority.roots)
    evidence = authority.reply(_query(note(7)))
    honest = check_time_stamp("x", note(7), evidence, roots)
    unchanged = 0
    for at in range(len(evidence)):
        spoilt = evidence[:at] + bytes([evidence[at] ^ 1]) + evidence[at + 1 :]
        checked = check_time_stamp("x", note(7), spoilt, roots)
        if checked.state == "contradicted":
            continue
        assert checked == honest
        unchanged += 1
    assert unchanged < len(evidence) // 2, "most of a reply is covered by its signature"


@given(cut=st.integers(0, 2000), spoilt=st.binary(max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sorting_raises_nothing(cut: int, spoilt: bytes, authority: Authority) -> None:
    reply = _REPLIES.setdefault("one", authority.reply(_query(note(7))))
    broken = reply[:cut] + spoilt + reply[cut + len(spoilt) :]
    assert len(sorted_certificates(broken)) == len(broken)


_REPLIES: dict[str, bytes] = {}


def test_sorting_twice_is_sorting_once(authority: Authority) -> None:
    reply = authority.reply(_query(note(7)))
    once = sorted_certificates(reply)
    assert once != reply
    assert sorted_certificates(once) == once
    assert sorted(once) == sorted(reply)


@pytest.mark.parametrize("written", [b"", b"no certificate", None])
def test_a_file_without_certificates_is_refused(written: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "roots.pem"
    if written is not None:
        file.write_bytes(written)
    with pytest.raises(ConfigurationError, match="root certificate"):
        read_roots(file)


def test_asking_leaves_nothing_of_the_programs_own_sessions(tsa: Served) -> None:
    session = requests.Session()
    adapters = dict(session.adapters)
    anchor_of(tsa).leave(note(7))
    assert dict(session.adapters) == adapters
