"""``recorder seal``: seals what a store holds and nobody has sealed yet; writes proofs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from recorder.api.late_seals import vouch_for_late
from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.naming import resolve
from recorder.cli.once import command
from recorder.cli.output import clean, emit_json
from recorder.clock import SystemClock, id_bytes, id_text
from recorder.core.json_text import rfc3339
from recorder.core.receipts import Receipt
from recorder.errors import ConfigurationError, NotFound
from recorder.ledger.sealing_acts import seal_all
from recorder.store import open_store


@command()
@click.argument("identity", metavar="[ID]", required=False)
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the proof to this file.")
@click.option("--late", "ground", metavar="WHY", help="Vouch for what was sealed late: why it was; it stays for ever.")
@json_option
@store_option
@pass_settings
def seal(settings: Settings, identity: str | None, output: Path | None, ground: str | None, as_json: bool) -> None:
    """Seal what is not sealed yet; prove that an exchange is.

    Recorders with the key seal by themselves, soon, also what others leave in the store: this is for the rest.
    What is sealed more than a minute after the time that it tells is back-dated to `recorder verify`, until
    somebody who has the key says with --late why: then all that is so now is told as sealed late, on his word.

    With the ID of an exchange its proof is printed, as a C2SP tlog-proof, or written to a file.
    """
    exchange = None
    if ground is not None and (identity is not None or not ground.strip()):
        raise ConfigurationError("--late says in words why all that was sealed late was: give it without an ID")
    if identity is not None:
        with Store(settings.store) as store:
            found = resolve(store, identity)
        if found.kind != "exchange":
            raise NotFound(f"{found.id} is a conversation: name one of its exchanges")
        exchange = id_bytes(found.id)
    elif output is not None:
        raise ConfigurationError("-o is for the proof of an exchange: name one")
    with closing(open_store(settings.store, write=True)) as store_to_write:
        size, receipt = seal_all(store_to_write, SystemClock(), exchange)
    late = () if ground is None else vouch_for_late(settings.store, SystemClock(), ground)
    for stream in late:
        click.echo(f"sealed late, on your word: {stream}", err=True)
    if receipt is not None:
        _give(receipt, output, as_json)
    elif as_json:
        emit_json({"size": size} if ground is None else {"size": size, "sealed_late": list(late)})
    else:
        click.echo(f"sealed: the ledger's last signed checkpoint has {size:,} entries")


def _give(receipt: Receipt, output: Path | None, as_json: bool) -> None:
    if output is not None:
        output.write_text(receipt.proof, encoding="utf-8")
    leaf = receipt.leaf
    if as_json:
        shown = {"exchange": id_text(leaf.head.stream), "events": leaf.head.length, "head": leaf.head.hash.hex()}
        shown |= {"leaf": leaf.number, "sealed_at": rfc3339(leaf.sealed_ns), "tag": receipt.tag}
        emit_json(shown | {"proof": receipt.proof})
    elif output is not None:
        told = f"{id_text(leaf.head.stream)}, {leaf.head.length:,} events, sealed {rfc3339(leaf.sealed_ns)}"
        click.echo(f"{clean(str(output))}: {told}, tag {receipt.tag}")
    else:
        click.echo(receipt.proof, nl=False)
