"""Time stamps (RFC 3161): an authority signs that it saw the digest of a checkpoint, and when.

The digest is SHA-256 of the whole note, signatures included. The evidence is the authority's reply as it came. It is
checked with ``rfc3161-client`` (extra ``tsa``), which never touches the network.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from recorder.core.json_text import rfc3339, wall_ns_of
from recorder.errors import AnchorFailed, ConfigurationError
from recorder.ledger.anchors.base import LARGEST_EVIDENCE, Checked, StampedTime, checkpoint_of
from recorder.ledger.anchors.tsa_reply import sorted_certificates

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampRequest, TimeStampResponse
    from rfc3161_client.tsp import Accuracy

#: Seconds between two time stamps: authorities ask to be asked seldom.
EVERY_S: Final = 600.0
#: Seconds for connecting to an authority, and for waiting for what it sends.
_TIMEOUT_S: Final = (5.0, 20.0)
_ASKED: Final = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
_REPLY: Final = "application/timestamp-reply"
_SHA256: Final = "2.16.840.1.101.3.4.2.1"  # https://www.iana.org/assignments/hash-function-text-names
_SECOND: Final = 10**9
_PROVES: Final = (
    "this checkpoint, and with it every event that it seals, existed at that time and was not changed since"
)
_NOT_PROVED: Final = (
    "that it is the only history, since an authority stamps a second one as readily; and that events happened when "
    "they say, only that it was not later"
)


@dataclass(frozen=True, slots=True)
class TimeStampAnchor:
    """A time stamping authority.

    :ivar url: where it answers, http or https.
    :ivar roots: a file in PEM with the certificates that are trusted; None: nothing is checked but the digest.
    """

    url: str
    roots: Path | None = None
    every_s: float = EVERY_S

    @property
    def name(self) -> str:
        """``rfc3161:`` and the URL without a login and without a query, which may hold secrets."""
        parts = urlsplit(self.url)
        return f"rfc3161:{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def leave(self, note: bytes) -> bytes:
        """Have a checkpoint stamped; the evidence is the reply.

        :raises AnchorFailed: nobody answers, the authority refuses, or its reply does not verify.
        :raises ConfigurationError: the extra is not installed, or the file with the roots cannot be read.
        """
        client = _client()
        trusted = self._trusted()
        request = client.TimestampRequestBuilder(note, client.HashAlgorithm.SHA256).build()
        reply = _asked(self.url, self.name, request.as_bytes())
        try:
            _verified(reply, note, trusted, request)
        except _RefutedError as why:
            told = f"the time stamp of {self.name} does not verify ({why}): ask its keeper, or use another"
            raise AnchorFailed(told) from why
        return reply

    def give_up(self) -> None:
        """Do nothing: a request ends with this process."""

    def check(self, note: bytes, evidence: bytes) -> Checked:
        """Say when the authority saw a checkpoint; needs no network."""
        return check_time_stamp(self.name, note, evidence, self._trusted())

    def _trusted(self) -> list[Certificate]:
        return [] if self.roots is None else read_roots(self.roots)

    def held(self) -> Iterator[bytes]:
        """Yield nothing: an authority keeps no checkpoints."""
        return iter(())


def check_time_stamp(name: str, note: bytes, evidence: bytes, roots: list[Certificate]) -> Checked:
    """Say what a time stamp proves of a checkpoint.

    :param name: of the anchor that it came from, as the store has it.
    :param roots: certificates that are trusted by whoever asks; none: the signature is not checked.
    :raises ConfigurationError: the extra is not installed.
    """
    try:
        time = _verified(evidence, note, roots)
    except _RefutedError as why:
        return Checked("contradicted", f"the time stamp of {name} does not verify: {why}", "nothing", _NOT_PROVED)
    size = checkpoint_of(note).size
    apart = time.at_ns - time.not_before_ns
    within = f", give or take {apart / 1e9:g} s" if apart else ""
    told = f"{time.by} stamped this checkpoint of {size:,} leaves {rfc3339(time.at_ns)[:19]}Z{within}"
    if not roots:
        told += ", as it says: the signature was not checked, since no root certificate was given that is trusted"
        return Checked("not checked", told, "nothing until its signature is checked", _NOT_PROVED)
    return Checked("confirmed", told, _PROVES, _NOT_PROVED, time)


def read_roots(file: Path) -> list[Certificate]:
    """Return the certificates of a file in PEM.

    :raises ConfigurationError: it cannot be read, holds none, or the extra is not installed.
    """
    _client()
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        told = f"{file} cannot be read ({error.strerror}): give a file with the authority's root certificate"
        raise ConfigurationError(told) from error
    except ValueError:
        raise ConfigurationError(f"{file} holds no certificate in PEM: give the authority's root certificate") from None


def require_client() -> None:
    """Refuse where what reads time stamps is not installed, without importing it.

    :raises ConfigurationError: it is not.
    """
    if find_spec("rfc3161_client") is None:
        raise ConfigurationError("time stamps need the extra tsa: run `pip install 'conversation-recorder[tsa]'`")


def _client() -> Any:
    require_client()
    return importlib.import_module("rfc3161_client")


def _asked(url: str, name: str, query: bytes) -> bytes:
    """Return what an authority answers (RFC 3161 §3.4)."""
    import requests
    from urllib3.exceptions import HTTPError

    try:
        with requests.post(
            url, data=query, headers=_ASKED, timeout=_TIMEOUT_S, allow_redirects=False, stream=True
        ) as response:
            reply = response.raw.read(LARGEST_EVIDENCE + 1, decode_content=True)
    except (requests.RequestException, HTTPError, OSError) as error:
        # Texts of these name the URL, and what may be secret in it.
        raise AnchorFailed(
            f"the anchor {name} cannot be reached ({type(error).__name__}): check its URL and the network"
        ) from error
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.status_code != 200:
        raise AnchorFailed(f"the anchor {name} answered with the status {response.status_code}: check its URL")
    if kind != _REPLY or len(reply) > LARGEST_EVIDENCE:
        raise AnchorFailed(f"the anchor {name} did not answer with a time stamp ({kind or 'no type'}): check its URL")
    return reply


class _RefutedError(Exception):
    """A reply is not a time stamp of a note."""


def _verified(
    reply: bytes, note: bytes, roots: list[Certificate], request: TimeStampRequest | None = None
) -> StampedTime:
    """Return when a note was stamped.

    :param roots: none: the signature is not checked.
    :param request: the question that has to be answered.
    :raises _RefutedError: the reply is not a time stamp of it.
    """
    require_client()
    try:
        return _read(reply, note, roots, request)
    except _RefutedError:
        raise
    except Exception as error:  # bytes of a stranger: whatever a parser makes of them, it is no time stamp
        raise _RefutedError(f"it cannot be read after RFC 3161, {type(error).__name__}: {error}") from error


def _read(reply: bytes, note: bytes, roots: list[Certificate], request: TimeStampRequest | None) -> StampedTime:
    client = _client()
    parsed: TimeStampResponse = client.decode_timestamp_response(sorted_certificates(reply))
    if parsed.status != client.tsp.PKIStatus.GRANTED:
        raise _RefutedError(f"it was not granted, status {parsed.status}{_said(parsed)}")
    token = parsed.tst_info
    imprint = token.message_imprint
    if imprint.hash_algorithm.dotted_string != _SHA256 or imprint.message != hashlib.sha256(note).digest():
        raise _RefutedError("it is of something else than this checkpoint")
    if request is not None and token.nonce != request.nonce:
        raise _RefutedError("it answers another question: its nonce is another one")
    if roots:
        try:
            client.VerifierBuilder(roots=roots).build().verify_message(parsed, note)
        except client.VerificationError as error:
            told = f"the given certificates do not vouch for its signature{_in_short(str(error))}"
            raise _RefutedError(told) from error
    return _time(parsed)


def _in_short(told: str) -> str:
    """Return what is told of a signature without the stack of errors of OpenSSL, which names lines of its source."""
    before, stack, _ = told.partition("ErrorStack(")
    reasons = list(dict.fromkeys(re.findall(r'reason: "([^"]+)"', told))) if stack else []
    return "".join(f", {said}" for said in (before.strip(" :,"), *reasons) if said)


def _said(parsed: TimeStampResponse) -> str:
    return f" ({'; '.join(parsed.status_string)})" if parsed.status_string else ""


def _time(parsed: TimeStampResponse) -> StampedTime:
    """Return when a token was made.

    Its seconds are whole, either written so or read so by the library: the time is up to a second later. An accuracy
    that it does not tell counts as none.
    """
    token = parsed.tst_info
    at = wall_ns_of(token.gen_time)
    accuracy: Accuracy | None = token.accuracy
    apart = 0
    if accuracy is not None:
        apart = (accuracy.seconds or 0) * _SECOND + (accuracy.millis or 0) * 10**6 + (accuracy.micros or 0) * 10**3
    return StampedTime(at, at - apart, at + apart + _SECOND, _authority(parsed))


def _authority(parsed: TimeStampResponse) -> str:
    """Return whom the certificate in a token names: the one whose number the signature tells."""
    from cryptography import x509

    signers = {(signer.issuer, signer.serial_number) for signer in parsed.signed_data.signer_infos}
    for der in parsed.signed_data.certificates:
        certificate = x509.load_der_x509_certificate(der)
        if (certificate.issuer, certificate.serial_number) in signers:
            return certificate.subject.rfc4514_string()
    return "an authority that its token does not name"
