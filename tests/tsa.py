"""A time stamping authority of one's own: certificates and replies by the program openssl, over HTTP on loopback.

The root vouches for a certificate in between, that one for the authority's, so that there is a chain to be checked.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_CONFIGURATION = """
[tsa]
default_tsa = this
[this]
dir = .
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
certs = chain.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
{accuracy}
clock_precision_digits = {digits}
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""
_EXTENSIONS = {
    "root": "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n",
    "between": "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n",
    "tsa": "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n",
}


class Authority:
    """Keys, certificates and replies of one authority.

    :param folder: where it keeps them; it must be there.
    :param accuracy: as openssl writes it; empty for none.
    :param digits: decimals of its seconds.
    """

    def __init__(self, folder: Path, *, accuracy: str = "secs:1, millisecs:500", digits: int = 0) -> None:
        self.folder = folder
        self.roots = folder / "root.pem"
        for name, signer in (("root", "root"), ("between", "root"), ("tsa", "between")):
            self._certify(name, signer)
        (folder / "chain.pem").write_text((folder / "between.pem").read_text() + self.roots.read_text())
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(
            _CONFIGURATION.format(accuracy=accuracy and f"accuracy = {accuracy}", digits=digits)
        )

    def _openssl(self, *arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, input=given, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def _certify(self, name: str, signer: str) -> None:
        (self.folder / f"{name}.ext").write_text(_EXTENSIONS[name])
        subject = ["-subj", f"/O=Test authority/CN=Test {name}"]
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", f"{name}.key", "-out", f"{name}.csr", *subject)  # fmt: skip
        signed_by = ["-signkey", "root.key"] if name == signer else ["-CA", f"{signer}.pem", "-CAkey", f"{signer}.key"]
        self._openssl("x509", "-req", "-in", f"{name}.csr", *signed_by, "-set_serial", str(len(name)), "-days", "3650",
                      "-extfile", f"{name}.ext", "-out", f"{name}.pem")  # fmt: skip

    def reply(self, query: bytes) -> bytes:
        """Return the reply to a query: a TimeStampResp in DER."""
        (self.folder / "query").write_bytes(query)
        self._openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply")
        return (self.folder / "reply").read_bytes()


class Served:
    """An authority on loopback that can be told to misbehave.

    :ivar url: where it answers.
    :ivar asked: queries that it got.
    :ivar answer: status, content type and body of its next answers instead of a reply; None: it replies.
    :ivar spoil: changes its replies.
    """

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.url = ""
        self.asked: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.answer: tuple[int, str, bytes] | None = None
        self.spoil: Any = lambda reply: reply


@contextmanager
def serving(authority: Authority) -> Iterator[Served]:
    """Serve an authority."""
    served = Served(authority)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["content-length"]))
            served.asked.append(query)
            served.headers.append(dict(self.headers.items()))
            status, kind, body = served.answer or (200, "application/timestamp-reply", b"")
            if served.answer is None:
                body = served.spoil(authority.reply(query))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        served.url = f"http://127.0.0.1:{server.server_address[1]}/tsr"
        yield served
        server.shutdown()
