"""The command ``doctor``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import CachePath, Json, RunsFolder
from mecli.errors import MissingDependency


def doctor(
    cache: CachePath = Path("mecli.h5"),
    folder: RunsFolder = Path("runs"),
    self_test: Annotated[
        bool,
        typer.Option(
            "--self-test/--no-self-test",
            help="Render a clip, extract it and judge it: about five seconds.",
        ),
    ] = True,
    json: Json = False,
) -> None:
    """Look whether all is there that the verbs need: packages, decoders, weights, folders.

    Nothing is fetched and nothing is written but temporary files. Leaves with 4 if
    something is missing; what is only worth knowing is marked 'note'.

    Example: mecli doctor --json
    """
    from mecli import doctor as verb
    from mecli.report import doctor as report

    options = verb.DoctorOptions(cache=cache, runs=folder, self_test=self_test)
    with terminal.progress("doctor") as progress:
        found = verb.doctor(options, progress=progress)
    if json:
        terminal.show_json(report.to_json(found.findings, found.here))
    else:
        terminal.show(report.to_text(found.findings, found.here, sys.stdout))
    if not found.healthy:
        raise typer.Exit(MissingDependency.exit_code)
