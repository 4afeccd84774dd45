"""The bot of ``bot.py``, and proof: what the model said is sealed before the order is sent, and the order says so.

Nothing of ``bot.py`` changes. Four lines stand between its decision and the broker: seal, send the tag along as the
client order id, link. From then on the broker's own record commits to what the model had said.
"""

from __future__ import annotations

from dataclasses import asdict

import requests
from bot import decide

from recorder import Recorder


def trade(recorder: Recorder, model: str, broker: str, question: str) -> str | None:
    """Ask the model and do what it says; return the broker's id of the order, or None where there is no order.

    :param recorder: of a store with a ledger (``recorder keys init``).
    :param model: URL of chat completions.
    :param broker: URL of the broker.
    :raises RecorderError: the answer could not be sealed; then no order was sent.
    :raises requests.RequestException: the broker did not take the order, or did not say so.
    """
    answers: list[requests.Response] = []
    session = recorder.mount(requests.Session())
    session.hooks["response"].append(lambda answer, **_: answers.append(answer))
    with session:
        order = decide(session, model, question)
    if order is None:
        return None
    receipt = recorder.seal(answers[-1])
    if receipt is None:
        raise RuntimeError("nothing is recorded (RECORDER_OFF?), so nothing is traded")
    told = {**asdict(order), "client_order_id": receipt.tag}
    answer = requests.post(f"{broker}/orders", json=told, timeout=30)
    answer.raise_for_status()
    identity = str(answer.json()["id"])
    recorder.link(kind="order", id=identity, exchange=answers[-1], tag=receipt.tag, **asdict(order))
    return identity
