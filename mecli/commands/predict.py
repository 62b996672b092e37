"""The command ``predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import CorpusName, Jobs, Json, RunsFolder, Timeout, known, leave_if_failed


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="CLIP...",
            help="Videos, image folders, corpus folders, manifests, or '-' for a list on stdin.",
            show_default=False,
        ),
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="The model to ask. [default: the newest run's]", show_default=False),
    ] = None,
    folder: RunsFolder = Path("runs"),
    corpus: CorpusName = None,
    landmarks: Annotated[
        str | None,
        typer.Option(help=f"auto or one of: {known('landmarker')}. [default: as in training]"),
    ] = None,
    jobs: Jobs = None,
    timeout_s: Timeout = 300.0,
    json: Json = False,
) -> None:
    """Say of each clip what moved, where, when and how sure that is.

    With --json one object a line: class scores, the interval used and which of its
    frames were found, what each ROI contributed, and the quality of the face.

    Example: ls clips/*.mp4 | mecli predict - --json
    """
    from mecli import predict as verb
    from mecli.report import answers as report

    options = verb.PredictOptions(
        checkpoint=checkpoint,
        runs=folder,
        corpus=corpus,
        landmarks=landmarks,
        jobs=jobs,
        timeout_s=timeout_s,
    )
    with terminal.progress("predict") as progress:
        answers = verb.predict(sources, options, progress=progress)
    if json:
        terminal.show_json_lines(answer.as_json() for answer in answers)
    else:
        terminal.show(report.answers_text(answers, sys.stdout))
    leave_if_failed({answer.clip: answer.error for answer in answers if answer.error})
