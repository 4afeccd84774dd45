"""Write docs/verify.py, the verifier of evidence bundles, from its modules; a test fails where it is not current.

python docs/generate_verifier.py
"""

from __future__ import annotations

from pathlib import Path

from recorder.ledger.bundle_verifier import verifier_source

_PAGE = Path(__file__).with_name("verify.py")

if __name__ == "__main__":
    _PAGE.write_text(verifier_source(), encoding="utf-8")
