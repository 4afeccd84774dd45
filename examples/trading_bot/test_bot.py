"""No order is ever placed on a partial answer: the bot is run at every place where the stream can break.

``BOT=careless_bot pytest examples/trading_bot`` runs the same test on the bot with the bug.
"""

from __future__ import annotations

import importlib
import os
import tempfile

import pytest
import requests
from bot import Order
from record import CONVERSATION, QUESTION, record

from recorder import Player
from recorder.faults import Fault, done_missing, error_in_stream, every_cut, rechunk, status

decide = importlib.import_module(os.environ.get("BOT", "bot")).decide

FOLDER = tempfile.mkdtemp()
STORE = f"sqlite:///{FOLDER}/recordings.db"
URL = record(f"{FOLDER}/recordings.db")
WHOLE = Order("EURUSD", "buy", 15_000)


def decided(fault: Fault | None) -> Order | None:
    with Player(STORE, fault=fault) as player, requests.Session() as session:
        return decide(player.mount(session), URL, QUESTION)


@pytest.mark.parametrize("boundaries", [None, "bytes", "whole", "random"])
def test_the_whole_answer_is_an_order_however_it_comes(boundaries: str | None) -> None:
    assert decided(rechunk(boundaries) if boundaries else None) == WHOLE


@pytest.mark.parametrize("fault", every_cut(STORE, CONVERSATION, how="close"), ids=str)
def test_no_order_when_the_connection_closes(fault: Fault) -> None:
    assert decided(fault) is None


@pytest.mark.parametrize("fault", every_cut(STORE, CONVERSATION, by="bytes", how="reset", most=120), ids=str)
def test_no_order_when_the_connection_is_reset_at_any_byte(fault: Fault) -> None:
    assert decided(fault) is None


@pytest.mark.parametrize("fault", [status(429), status(503), error_in_stream(4), done_missing()], ids=str)
def test_no_order_when_the_server_says_that_something_is_wrong(fault: Fault) -> None:
    assert decided(fault) is None
