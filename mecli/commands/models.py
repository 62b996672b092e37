"""The command ``models``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import Json, Preset, RunsFolder
from mecli.errors import UsageError


def models(
    model: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME|show NAME",
            help="Show this model in full, or the checkpoint of this file; mecli brings along "
            "'bundled-faces' ('bundled' for short) and 'bundled-maps'.",
            show_default=False,
        ),
    ] = None,
    preset: Preset = None,
    folder: RunsFolder = Path("runs"),
    json: Json = False,
) -> None:
    """List the models that train knows: source, input, size, options and measured cost.

    Example: mecli models cnn-lstm --preset paper
    """
    from mecli import zoo as verb
    from mecli.report import zoo as report

    name = _name(model or [])
    if name is not None and verb.is_checkpoint(name):
        told = verb.checkpoint(name)
        if json:
            terminal.show_json(told)
        else:
            terminal.show(report.checkpoint_text(told, sys.stdout))
        return
    cards = verb.models(verb.ZooOptions(model=name, preset=preset, runs=folder))
    if json:
        terminal.show_json(report.to_json(cards))
    elif name is None:
        terminal.show(report.list_text(cards, sys.stdout))
    else:
        terminal.show(report.card_text(cards[0], sys.stdout))


def _name(named: list[str]) -> str | None:
    """Return the one name, which may stand behind the word ``show``."""
    rest = named[1:] if named[:1] == ["show"] else named
    if len(rest) > 1 or (named and not rest):
        raise UsageError(f"models {' '.join(named)}: expected one name")
    return rest[0] if rest else None
