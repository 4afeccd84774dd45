"""``recorder search``: the messages in which words stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

import click

from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.once import Command
from recorder.cli.output import clean, dim, emit_json, home, short, started, tell_more, tell_nothing_fits, verdict
from recorder.cli.redact import standing_of, tell_standing
from recorder.cli.selecting import Selection, count_option, limit_of, selection_options
from recorder.errors import ConfigurationError

_PLAIN: Final = re.compile(r'[^"*]*\s[^"*]*')
_SPACE: Final = re.compile(r"\s+")


class _Words(Command):
    """A command that takes ``-word`` for a word, where it is none of its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move such words to where click takes everything for a word."""
        takes_value = {
            name
            for option in self.get_params(ctx)
            if isinstance(option, click.Option) and not option.is_flag
            for name in option.opts
        }
        end = args.index("--") if "--" in args else len(args)
        options: list[str] = []
        words, before = args[end + 1 :], ""
        for arg in args[:end]:
            is_word = re.match(r"-[^-]", arg) and not re.fullmatch(r"-h|-n\d*", arg) and before not in takes_value
            (words if is_word else options).append(arg)
            before = arg
        return super().parse_args(ctx, [*options, *(["--", *words] if words else [])])


@click.command(cls=_Words)
@click.argument("words", nargs=-1, required=True)
@count_option
@click.option("--best", is_flag=True, help="Those that fit best first, not the newest.")
@selection_options
@json_option
@store_option
@pass_settings
def search(
    settings: Settings, selection: Selection, words: Sequence[str], count: int | None, best: bool, as_json: bool
) -> None:
    """Find the messages in which WORDS stand, of requests and of answers, the newest first.

    All the words are wanted, in one message, in any order. "Words in quotes" stand side by side, -word is not
    wanted, pre* is the beginning of a word; everything else is literal. Upper and lower case are the same, accents
    do not count. Chinese, Japanese and Korean words are found inside longer ones, too. What stands in reasoning,
    refusals, calls of tools and their results is found as well.

    A message that was sent again with later requests is found once: in the exchange that sent or answered it first.
    The filters are about that exchange. Of one in which `recorder redact` hides something, no passage is shown.
    """
    limit = limit_of(count, as_json=as_json)
    with Store(settings.store) as store:
        try:
            found = store.search(
                _query(words),
                newest_first=not best,
                limit=None if limit is None else limit + (not as_json),
                **selection.filters,
            )
        except ValueError as error:
            raise ConfigurationError(f"{error}: give a word of letters or digits to search for") from error
        standing = standing_of(store)
        hits = (standing.hit(hit) for hit in islice(found, limit))
        if as_json:
            for hit in hits:
                emit_json(hit)
        else:
            _print_all(list(hits), more=next(found, None) is not None)
    tell_standing(standing, "`recorder show --unredacted` shows what is recorded")


def _print_all(hits: Sequence[dict[str, Any]], *, more: bool) -> None:
    if not hits:
        tell_nothing_fits()
    for hit in hits:
        _print(hit)
    if more:
        tell_more(len(hits))


def _query(words: Sequence[str]) -> str:
    """One query of all arguments; one with spaces is a phrase, since the shell has taken its quotes."""
    told = [word + '"' * (word.count('"') % 2) for word in words]
    return " ".join(
        f'"{word}"' if _PLAIN.fullmatch(word) and not re.search(r"(^|\s)-\w", word) else word for word in told
    )


def _print(hit: dict[str, Any]) -> None:
    facts = [started(hit), hit["side"], hit.get("role", ""), hit.get("model", ""), home(hit)]
    shown = "  ".join(clean(fact) for fact in facts if fact)
    click.echo(f"{click.style(short(hit['exchange']), bold=True)}  {dim(shown)}  {verdict(hit['verdict'])}")
    click.echo("    " + "".join(_piece(piece) for piece in hit["passage"]).strip())


def _piece(piece: dict[str, Any]) -> str:
    text = clean(_SPACE.sub(" ", piece["text"]))
    return click.style(f"[{text}]", fg="yellow", bold=True) if piece.get("found") else text
