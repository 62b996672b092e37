"""The command ``models``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import Json, RunsFolder


def models(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Show this one in full.", show_default=False),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Show the model with this set of its options.")
    ] = None,
    folder: RunsFolder = Path("runs"),
    json: Json = False,
) -> None:
    """List the models that train knows: source, input, size, options and measured cost.

    Example: mecli models cnn-lstm --preset paper
    """
    from mecli import zoo as verb
    from mecli.report import zoo as report

    cards = verb.models(verb.ZooOptions(model=model, preset=preset, runs=folder))
    if json:
        terminal.show_json(report.to_json(cards))
    elif model is None:
        terminal.show(report.list_text(cards, sys.stdout))
    else:
        terminal.show(report.card_text(cards[0], sys.stdout))
