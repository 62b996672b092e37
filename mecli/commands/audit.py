"""The command ``audit``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import Jobs, Json, known
from mecli.errors import InputError

_CHECKS = (
    "persons, clips, predictions, selection, extraction, duplicates, metadata, still, features, "
    "refit, constant, permuted"
)


def audit(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|CACHE...",
            envvar="MECLI_CACHE",
            help="One run folder, or caches ('-': a list on stdin). [default: mecli.h5]",
        ),
    ] = None,
    checks: Annotated[
        str | None, typer.Option(help=f"Only some of: {_CHECKS}. [default: all]")
    ] = None,
    labels: Annotated[
        str, typer.Option(help="Label scheme for caches; a run has its own.")
    ] = "megc2019",
    protocol: Annotated[
        str, typer.Option(help=f"For caches, one of: {known('protocol')}.")
    ] = "loso",
    model: Annotated[
        str | None,
        typer.Option(
            help="Train controls with it. [default: the run's own for features and refit, "
            "else flow-svm]"
        ),
    ] = None,
    refit: Annotated[int, typer.Option(help="Folds to refit with scrambled held-out clips.")] = 1,
    permutations: Annotated[int, typer.Option(help="Trainings on permuted labels.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of all shuffles.")] = 0,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Look for leaks: whatever of the held-out subjects reaches a score.

    Leaves with 3 if a leak is found. Warnings are for you to judge.

    Example: mecli audit runs/20261126-101500-roi-flow-lstm-loso
    """
    from mecli import audit as verb
    from mecli.report import audit as report

    chosen = tuple(name.strip() for name in checks.split(",")) if checks else ()
    options = verb.AuditOptions(
        checks=chosen,
        labels=labels,
        protocol=protocol,
        model=model,
        refit=refit,
        permutations=permutations,
        seed=seed,
        jobs=jobs,
    )
    with terminal.progress("audit") as progress:
        found = verb.audit(targets or ["mecli.h5"], options, stdin=sys.stdin, progress=progress)
    if json:
        terminal.show_json(report.to_json(found))
    else:
        terminal.show(report.to_text(found, sys.stdout))
    if not found.clean:
        raise typer.Exit(InputError.exit_code)
