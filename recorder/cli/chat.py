"""``recorder chat``: asks the upstream, streams the answer to the terminal, records both."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import click
import requests

from recorder.api.conversations import Conversation
from recorder.api.recorder import Recorder, switched_off
from recorder.api.store import Store
from recorder.api.threaded import Found
from recorder.cli.answering import texts
from recorder.cli.application import Settings, pass_settings, store_option
from recorder.cli.failures import UNREACHABLE, USAGE, Failed, Unheard
from recorder.cli.once import command
from recorder.cli.output import Recorded, clean, dim, short
from recorder.cli.upstream import ask, from_environment, require_utf8
from recorder.core.messages import Message, RefusalPart
from recorder.errors import ConfigurationError
from recorder.locations import sqlite_path

DEFAULT_SYSTEM: Final = "You are a helpful assistant."
#: How long a store that has gone away is waited for when the answer is there.
FLUSH_SECONDS: Final = 10.0


class _Seconds(click.FloatRange):
    """A span of time that a socket takes: not endless, and not NaN, which no range excludes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return number


@command()
@click.argument("prompt", required=False)
@click.option("--system", metavar="TEXT", help="The system prompt.")
@click.option(
    "--conversation",
    metavar="NAME|ID",
    help="Continue this conversation, its earlier turns are sent along; a name that is new begins one.",
)
@click.option(
    "--timeout",
    type=_Seconds(min=0, min_open=True, max=86400),
    default=120.0,
    metavar="S",
    show_default=True,
    help="Seconds without a byte after which to give up.",
)
@store_option
@pass_settings
def chat(settings: Settings, prompt: str | None, system: str | None, conversation: str | None, timeout: float) -> None:
    """Ask the upstream, print the answer as it arrives, record both.

    The upstream is that of AI_API_URL, which ends in /chat/completions, AI_ACCESS_TOKEN and
    AI_MODEL_NAME. Without PROMPT, or where it is -, the prompt is read from standard input.
    """
    upstream = from_environment(os.environ)
    for name, text in (("the prompt", prompt), ("--system", system), ("--conversation", conversation)):
        require_utf8(name, text)
    question = _question(prompt)
    if conversation is not None and not conversation.strip():
        raise ConfigurationError("--conversation is empty: give a name or an ID")
    with (
        Recorder(settings.store, on_failure="raise", close_timeout=FLUSH_SECONDS) as recorder,
        requests.Session() as session,
    ):
        inside: AbstractContextManager[Any] = nullcontext()
        before: list[dict[str, Any]] = []
        if conversation is not None:
            known = _known(settings.store, conversation)
            inside = _entered(recorder, conversation, known)
            before = known.messages if known is not None else []
        messages = [*_with_system(before, system), {"role": "user", "content": question}]
        recorder.mount(session)
        notes: list[str] = []
        try:
            with inside:
                response = ask(session, upstream, messages, timeout)
            try:
                with response:
                    _print(texts(response, upstream.token, notes))
            except Failed as error:
                error.asked = response
                raise
        except Unheard:  # nobody would hear where it is recorded, either
            raise
        except Failed as error:
            raise Failed(error.message + _where(recorder, error.asked), error.code) from error
        for note in notes:
            click.echo(dim(note), err=True)
        _print_where(recorder, response)


def _where(recorder: Recorder, asked: Any) -> str:
    """Return under which id a call that failed is recorded, as the end of a line."""
    identity = recorder.exchange(asked) if asked is not None else None
    return f" (recorded as {short(identity)})" if identity is not None else ""


def _print_where(recorder: Recorder, response: requests.Response) -> None:
    """Say under which id the exchange is recorded.

    :raises Failed: it has not reached the store.
    """
    identity = recorder.exchange(response)
    if identity is None:
        click.echo(dim("nothing is recorded: RECORDER_OFF is set"), err=True)
        return
    response.close()
    if not recorder.flush():
        health = recorder.health()
        reason = health.store_error or health.spool_error or "it does not answer"
        raise Failed(f"the store did not take the exchange ({reason}): run `recorder recover` later", UNREACHABLE)
    click.echo(dim(f"recorded as {short(identity)}: recorder show {short(identity)}"), err=True)


def _question(prompt: str | None) -> str:
    """Return the prompt of the command line, or that of standard input.

    :raises ConfigurationError: there is none.
    """
    if prompt is None and sys.stdin.isatty():
        raise ConfigurationError("there is no prompt: give one, or - to read it from standard input")
    if prompt is None or prompt == "-":
        try:
            prompt = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigurationError("standard input is not UTF-8 text: convert it first") from error
        prompt = prompt.rstrip("\r\n")
    if not prompt.strip():
        raise ConfigurationError("the prompt is empty: give some text")
    return prompt


@dataclass(frozen=True, slots=True)
class _Known:
    """A conversation that is continued.

    :ivar messages: up to its last finished answer that says something; empty where none does.
    """

    id: str
    name: str | None
    messages: list[dict[str, Any]]


def _known(url: str, text: str) -> _Known | None:
    """Return the conversation that goes by an id, a name or a part of an id, in this order; None where it is new.

    :raises NotFound: the part of an id stands for several.
    """
    path = sqlite_path(url)
    if switched_off() and path is not None and not path.exists():
        return None  # as in the new store that nobody makes
    with Store(url) as store:
        found = store.find(text)
        if found is None:
            return None
        home = found.id if found.kind == "conversation" else store.conversation_of(found.id)[0]
        thread = store.outline(Found("conversation", home))
        return _Known(home, thread.name, _earlier(store, thread.exchanges))


def _entered(recorder: Recorder, text: str, known: _Known | None) -> AbstractContextManager[Any]:
    """Return the conversation to enter: the known one, else a new one of that name, and say what was not named."""
    if known is None:
        click.echo(dim(f"a new conversation: {clean(text)}"), err=True)
        return recorder.conversation(text)
    if text not in (known.name, known.id):  # a word like "bed" was perhaps meant as a new name
        name = "" if known.name is None else f" {clean(known.name)}"
        click.echo(dim(f"going on with the conversation{name} {short(known.id)}"), err=True)
    return Conversation(known.id, None) if known.name is None else recorder.conversation(known.name)


def _earlier(store: Store, exchanges: Sequence[str]) -> list[dict[str, Any]]:
    """Return the messages up to the last finished answer that says something.

    :raises Failed: that answer is calls of tools and nothing else. The API takes calls only with a message of
        each tool behind them, and there is no tool here; without its calls such an answer would be empty.
    """
    for identity in reversed(exchanges):
        rebuilt = store.exchange(identity)
        request = rebuilt.exchange.request
        sent = request.json.get("messages") if request is not None and isinstance(request.json, dict) else None
        if not isinstance(sent, list) or not all(isinstance(message, dict) for message in sent):
            continue
        if rebuilt.verdict != "complete" or not rebuilt.answer_messages:
            continue
        answer = rebuilt.answer_messages[0]
        if said := _said(answer):
            return [*sent, {"role": "assistant", "content": said}]
        if answer.tool_calls:
            names = ", ".join(call.name or "a tool without a name" for call in answer.tool_calls)
            raise Failed(
                f"the last answer of the conversation, {short(identity)}, only calls tools ({names}), which chat "
                "cannot run: go on with it where the tools are, or begin another conversation",
                USAGE,
            )
    return []


def _said(answer: Message) -> str:
    """Return what was printed of an answer: its text, else its refusal; empty where nothing but space is in it."""
    refusal = "".join(part.text for part in answer.parts if isinstance(part, RefusalPart))
    return next((text for text in (answer.text, refusal) if text.strip()), "")


def _with_system(before: list[dict[str, Any]], system: str | None) -> list[dict[str, Any]]:
    """Return the earlier messages under a system prompt: the given one, else theirs, else the default."""
    has_own = bool(before) and before[0].get("role") == "system"
    if has_own and system is None:
        return before
    return [{"role": "system", "content": DEFAULT_SYSTEM if system is None else system}, *before[has_own:]]


def _print(parts: Iterator[str]) -> None:
    """Write the text as it comes, and end its last line, also where it breaks off."""
    shown = Recorded()
    last = "\n"
    try:
        for part in parts:
            shown.text(part)
            last = part
    finally:
        shown.close()
        if not last.endswith("\n"):
            click.echo()
