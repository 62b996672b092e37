"""The command ``evaluate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import Json, RunsFolder, known
from mecli.errors import UsageError


def evaluate(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|CSV|CACHE...",
            help="Run folders, CSV files with clip,subject,corpus,label,prediction, or '-'. "
            "[default: the newest run]",
            show_default=False,
        ),
    ] = None,
    folder: RunsFolder = Path("runs"),
    classes: Annotated[
        str, typer.Option(help="The class list, as a,b,c, for a CSV without scheme.")
    ] = "",
    labels: Annotated[
        str | None, typer.Option(help=f"Take the class list of: {known('label scheme')}.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help=f"How a CSV was made, one of: {known('protocol')}."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Also score by: corpus, subject.")] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="Ask this checkpoint about caches instead; 'bundled' is mecli's own."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(help="Bootstrap resamples over subjects for the intervals.")
    ] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    latex: Annotated[
        bool, typer.Option("--latex", help="Print tables for LaTeX (booktabs) instead.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print tables in Markdown instead.")
    ] = False,
    json: Json = False,
) -> None:
    """Score runs: pooled UF1 and UAR with 95 % intervals over subjects.

    Where a protocol and its labels are those of a challenge, what its organisers ask for
    is printed too, named as they name it; a run with labels au is scored by F1 per
    action unit, which with protocol lodo is CD6ME.

    Several runs are compared on the clips they share, by a paired bootstrap.

    Example: mecli evaluate runs/* --json | python -m json.tool
    """
    from mecli import evaluate as verb
    from mecli.report import publication
    from mecli.report.evaluation_json import to_json
    from mecli.report.evaluation_text import to_text

    if latex + markdown + json > 1:
        raise UsageError("--latex, --markdown and --json exclude each other; give one of them")

    options = verb.EvaluateOptions(
        runs=folder,
        classes=tuple(c.strip() for c in classes.split(",")) if classes else (),
        labels=labels,
        protocol=protocol,
        by=by,
        checkpoint=checkpoint,
        resamples=resamples,
        seed=seed,
    )
    result = verb.evaluate(runs or (), options, sys.stdin)
    for line in result.notes:
        terminal.note(f"note: {line}")
    if json:
        terminal.show_json(to_json(result))
    elif latex:
        terminal.show(publication.latex(publication.sheets(result)))
    elif markdown:
        terminal.show(publication.markdown(publication.sheets(result)))
    else:
        terminal.show(to_text(result, sys.stdout))
