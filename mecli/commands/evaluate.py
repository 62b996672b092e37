"""The command ``evaluate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import Json, ReportFile, RunsFolder, known
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
        Path | None,
        typer.Option(
            help="Ask this checkpoint about caches instead; 'bundled' is mecli's own for faces or "
            "for flow images, bundled-faces or bundled-maps."
        ),
    ] = None,
    spotting: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Score spotted intervals instead: JSON or CSV of mecli spot or predict, or '-'.",
        ),
    ] = None,
    truth: Annotated[
        list[Path] | None,
        typer.Option(
            help="With --spotting: the corpus folder or sheet to score by; several are one whole."
        ),
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(help=f"Read --truth as one of: {known('corpus')}.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(help="Bootstrap resamples over subjects for the intervals.")
    ] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    report_file: ReportFile = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Also draw figures for a paper into this folder: PDF, SVG, PNG."),
    ] = None,
    caches: Annotated[
        list[Path] | None,
        typer.Option("--cache", "-c", help="Where the clips are now. [default: as in training]"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace page and figures that are there.")
    ] = False,
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

    With --spotting an interval is a hit if it shares half of what it and a true one cover
    together; F1 is over the whole database. Predictions of --labels add UF1 and STRS.

    Example: mecli evaluate runs/A runs/B --report out.html --figures figures/

    Example: mecli evaluate runs/* --json | python -m json.tool

    Example: mecli evaluate megc.h5 --checkpoint bundled --labels megc2019

    Example: mecli spot videos/ --json | mecli evaluate --spotting - --truth videos/
    """
    if spotting is not None or truth:
        _score_spots(spotting, truth, corpus, labels, runs, json=json)
        return
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
        checkpoint=None if checkpoint is None else str(checkpoint),
        resamples=resamples,
        seed=seed,
        report=report_file,
        figures=figures,
        caches=tuple(caches or ()),
        force=force,
    )
    with terminal.progress("regions") as progress:
        result = verb.evaluate(runs or (), options, sys.stdin, progress)
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


def _score_spots(
    spotting: str | None,
    truth: list[Path] | None,
    corpus: str | None,
    labels: str | None,
    runs: list[str] | None,
    *,
    json: bool,
) -> None:
    if spotting is None or not truth or runs:
        raise UsageError("--spotting FILE needs --truth FOLDER, and no run beside them")
    from mecli import spot_scores as verb
    from mecli.report.spot_scores import spot_scores_text

    options = verb.SpotScoreOptions(tuple(truth), corpus, labels or verb.SCHEME)
    result = verb.score_spots(spotting, options, sys.stdin)
    for line in result.notes:
        terminal.note(f"note: {line}")
    if json:
        terminal.show_json(result.as_json())
    else:
        terminal.show(spot_scores_text(result, sys.stdout))
