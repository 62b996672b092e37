"""The command ``check``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import AsPublished, CorpusName, Json
from mecli.errors import InputError


def check(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Corpus folder, sheet, manifest CSV, video, image folder, or '-' for a list of "
            "those on stdin.",
            show_default=False,
        ),
    ],
    corpus: CorpusName = None,
    as_published: AsPublished = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Count odd cells and sheet-disk differences as wrong too."),
    ] = False,
    json: Json = False,
) -> None:
    """Hold annotation against disk: classes, missing frames, odd cells, duplicates.

    Nothing is decoded. Leaves with 0 if all is well and with 3 if a source cannot be
    read, frames are missing or clips occur twice.

    Example: mecli check CASME2/ SAMM/ --json
    """
    from mecli import check as verb
    from mecli.report import check as report

    options = verb.CheckOptions(corpus=corpus, as_published=as_published, strict=strict)
    with terminal.progress("check") as progress:
        result = verb.check(sources, options, stdin=sys.stdin, progress=progress)
    if json:
        terminal.show_json(report.to_json(result))
    else:
        terminal.show(report.to_text(result, sys.stdout))
    if not result.clean:
        raise typer.Exit(InputError.exit_code)
