"""The first page of a bundle, for somebody who has never seen one: what it is, what it proves, how to check it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from recorder.clock import id_text
from recorder.core.json_text import rfc3339
from recorder.core.linked import Linked
from recorder.ledger.bundle_plan import Plan
from recorder.ledger.standalone.selection import made_for

_SHOWN: Final = 200  # exchanges
_HEAD: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Evidence: read this first</title>
<style>
body { font: 17px/1.5 Georgia, serif; max-width: 44em; margin: 2em auto; padding: 0 1em; color: #222; }
code, pre { font: 14px/1.4 monospace; background: #f3f3f0; padding: .1em .3em; overflow-wrap: anywhere; }
pre { padding: .7em; overflow-x: auto; }
td, th { text-align: left; vertical-align: top; padding: .2em 1em .2em 0; }
.note { border-left: 4px solid #b58900; padding-left: 1em; }
</style>
</head>
<body>
"""
_WHAT: Final = """\
<h1>Evidence of conversations with a language model</h1>
<p>This folder (a zip file) holds what a program asked a language model and what came back, as it went over the wire,
recorded by <em>recorder</em> while it happened. To read it, open <code>transcript.html</code>.</p>
"""
_HOW: Final = """\
<h2>How to check it</h2>
<ol>
<li>You need Python 3.9 or newer on any computer, and nothing else; no network is used.</li>
<li>Get the <strong>fingerprint of the key</strong> from the other side by another way than this file: on paper, by
telephone, from a contract. A fingerprint that comes with the evidence proves nothing.</li>
<li>Get <code>verify.py</code> from the project, or take the one in this zip if you trust whoever gave it to you.</li>
<li>Run it beside the zip file, as it was given to you (do not pack it again):
<pre>python verify.py evidence.zip --key FINGERPRINT</pre></li>
<li>Read all of what it prints. A line that begins with <code>FOUND</code> says what was changed, and where.</li>
</ol>
<h2>What a good answer means</h2>
<table>
<tr><th>authentic</th><td>Everything here was signed by the holder of the key whose fingerprint you gave.</td></tr>
<tr><th>unmodified</th><td>No byte of what was recorded was changed since it was sealed.</td></tr>
<tr><th>complete in range</th><td>Nothing of these exchanges was cut off, and every entry that the ledger has between
the first and the last of them is listed, also of what is not in this file. <code>no</code> where the recorder itself
noted that it lost something: then nobody need have changed anything, but it is not all here.</td></tr>
<tr><th>bounded in time</th><td>By whose clock it is known when it was.</td></tr>
</table>
<h2>What it does not mean</h2>
<ul>
<li>Not that the model was right, nor that anybody acted on it, unless a link to an order is here.</li>
<li>Not that these are all exchanges of a conversation, or all that led to an order: whoever made this chose them.</li>
<li>Not that nothing else was asked: what was sent past the recorder is in no ledger.</li>
<li>Not that the transcripts are the evidence. They are made for reading; the evidence is in <code>streams</code>,
and <code>FORMAT.md</code> describes every byte of it.</li>
</ul>
"""
_UNSIGNED: Final = """\
<p class="note"><strong>Authenticity is not proved: the store has no signed checkpoints.</strong> The check finds
changes by accident, and by whoever does not know how to make the hashes anew; it finds no others.</p>
"""


@dataclass(frozen=True)
class Counted:
    """What is counted for the page.

    :ivar redacted: exchanges of which something is left out of the transcripts.
    :ivar elsewhere: other exchanges that the journals in it announce.
    :ivar gaps: exchanges in which the recorder itself noted a loss.
    :ivar dropped: events of what is here that are lost, as the journals say.
    :ivar unsealed_links: of its exchanges, which are not sealed yet and so not in it.
    """

    redacted: int = 0
    elsewhere: int = 0
    gaps: int = 0
    dropped: int = 0
    unsealed_links: int = 0


def cover(
    plan: Plan,
    times: Mapping[bytes, int],
    counted: Counted,
    erasures: Sequence[str] = (),
    links: Sequence[Linked] = (),
) -> Iterator[bytes]:
    """Yield the page.

    :param times: when each exchange began, UTC nanoseconds.
    :param erasures: of what was erased, who did it, when and why, in words.
    :param links: what rests on the exchanges, the oldest first.
    """
    yield _HEAD.encode()
    yield _WHAT.encode()
    yield "".join(_facts(plan, times, counted, erasures)).encode()
    yield "".join(_linked(links)).encode()
    if plan.within is None:
        yield _UNSIGNED.encode()
    yield _HOW.encode()
    yield b"</body>\n</html>\n"


def _facts(plan: Plan, times: Mapping[bytes, int], counted: Counted, erasures: Sequence[str]) -> Iterator[str]:
    wanted = plan.wanted
    yield "<h2>What is here</h2>\n<table>\n"
    yield _row("made for", made_for(wanted.selection))
    yield _row("exchanges", str(len(wanted.exchanges)))
    if counted.elsewhere:
        told = "exchanges that these processes announced and that are not in this bundle"
        yield _row("not here", f"{told}: {counted.elsewhere}")
    if counted.gaps:
        yield _row("lost", f"part of {counted.gaps} of them; the recorder itself noted then that it could not be kept")
    if counted.dropped:
        yield _row("lost, as the journals say", f"events: {counted.dropped}")
    withheld = len(wanted.withheld.intersection(wanted.exchanges))
    if withheld:
        yield _row("withheld", f"what was said in {withheld} of them; that they took place is here")
    if counted.unsealed_links:
        told = f"{counted.unsealed_links}: nobody has sealed them yet, so nothing proves them"
        yield _row("what rests on them and is not here", told)
    yield from _gone(plan, erasures)
    if counted.redacted:
        told = f"the transcripts, of {counted.redacted} of them"
        yield _row("redacted", f"{told}; what the events here hold is not changed")
    if plan.within is not None:
        yield _row("ledger", f"{plan.within.origin}, entries {plan.within.start} to {plan.within.end - 1}")
    yield "</table>\n<ul>\n"
    for stream in wanted.exchanges[:_SHOWN]:
        yield f"<li><code>{id_text(stream)}</code>, {escape(rfc3339(times.get(stream, 0)))}</li>\n"
    if len(wanted.exchanges) > _SHOWN:
        yield f"<li>… and {len(wanted.exchanges) - _SHOWN} more</li>\n"
    yield "</ul>\n"


def _linked(links: Sequence[Linked]) -> Iterator[str]:
    """Yield what rests on the exchanges, a table for each; its facts in one of their own, apart from what is known."""
    if links:
        yield "<h2>What rests on it</h2>\n<p>The program said of these, when it recorded them, that they rest on an "
        yield "exchange that is here.</p>\n"
    for one in links[:_SHOWN]:
        yield f"<h3>{_safe(one.title)}</h3>\n<table>\n"
        yield from (_row(name, text) for name, text in one.rows())
        facts = list(one.fact_rows())
        if facts:
            inner = "".join(_row(name, text) for name, text in facts)
            yield f"<tr><th>its facts, as they were recorded</th><td><table>\n{inner}</table></td></tr>\n"
        yield "</table>\n"
    if len(links) > _SHOWN:
        yield f"<p>… and {len(links) - _SHOWN} more: <code>python verify.py --json</code> lists them</p>\n"


def _gone(plan: Plan, erasures: Sequence[str]) -> Iterator[str]:
    gone = {part.opened.stream for part in plan.parts if part.kind == "exchange" and part.erased}
    erased = len(gone - plan.taken_away)
    if erased:
        yield _row("erased", f"what was said in {erased} of them; who erased it, and why, is here")
    for told in erasures[:_SHOWN]:
        yield _row("erased on the word of", told)
    if len(erasures) > _SHOWN:
        yield _row("", f"… and {len(erasures) - _SHOWN} more records of erasures")
    taken = len(gone & plan.taken_away)
    if taken:
        yield _row("taken away", f"what was said in {taken} of them, without a record: nobody says who did it, or why")


def _row(name: str, text: str) -> str:
    return f"<tr><th>{_safe(name)}</th><td>{_safe(text)}</td></tr>\n"


def _safe(text: str) -> str:
    return escape("".join(each if each.isprintable() else f"U+{ord(each):04X}" for each in text))
