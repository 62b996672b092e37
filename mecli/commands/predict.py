"""The command ``predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mecli import checkpoints, terminal
from mecli.commands.flags import (
    CorpusName,
    Csv,
    Eaf,
    Face,
    Fps,
    Jobs,
    Json,
    LandmarksOrTrained,
    Overlay,
    ReportFile,
    RunsFolder,
    Sources,
    Timeout,
    check_csv,
    leave_if_failed,
    show_rows,
)
from mecli.question import ATTRIBUTIONS

if TYPE_CHECKING:
    from mecli.report.answers import Answer


def predict(
    sources: Sources,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="The model to ask, or 'bundled' (bundled-faces, or bundled-maps for flow images). "
            "[default: the newest run's, else bundled]",
            show_default=False,
        ),
    ] = None,
    folder: RunsFolder = Path("runs"),
    corpus: CorpusName = None,
    landmarks: LandmarksOrTrained = None,
    jobs: Jobs = None,
    timeout_s: Timeout = 7200.0,
    face: Face = None,
    all_faces: Annotated[bool, typer.Option("--all-faces", help="Judge every face.")] = False,
    fps: Fps = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Judge a long video as one clip; do not search it.")
    ] = False,
    attribution: Annotated[
        str | None,
        typer.Option(
            help=f"How the regions' parts are found: {' or '.join(ATTRIBUTIONS)}. "
            "[default: weights where the model has them]",
            show_default=False,
        ),
    ] = None,
    overlay: Overlay = None,
    eaf: Eaf = None,
    report_file: ReportFile = None,
    csv: Csv = None,
    force: Annotated[
        bool, typer.Option("--force", help="Judge clips below 25 frames/s; replace files.")
    ] = False,
    json: Json = False,
) -> None:
    """Say of each clip what moved, where, when and how sure that is.

    A video of more than two seconds is searched for micro- and macro-expressions first,
    and each is judged; that nothing was found is an answer too.

    With --json one object a line as soon as a clip is judged: class scores, the interval
    and which of its frames were found, what each ROI contributed, the quality of the
    face, and under `unsure` every reason to doubt the answer.

    Example: mecli predict clip.mp4 --overlay film.mp4 --report page.html

    Example: ls clips/*.mp4 | mecli predict - --json
    """
    from mecli import predict as verb
    from mecli.report import answers as report

    options = verb.PredictOptions(
        checkpoint=checkpoint,
        runs=folder,
        corpus=corpus,
        landmarks=landmarks,
        face=face,
        all_faces=all_faces,
        fps=fps,
        whole=whole,
        attribution=attribution,
        overlay=overlay,
        eaf=eaf,
        report=report_file,
        jobs=jobs,
        timeout_s=timeout_s,
        force=force,
    )
    if checkpoint is None and checkpoints.newest(folder) is None:
        terminal.note(
            f"no run in {folder}/: the bundled checkpoint is asked, which has seen synthetic "
            "faces only (mecli models show bundled-faces, or bundled-maps for flow images)"
        )
    answers: list[Answer] = []
    check_csv(csv, json=json, force=force)
    with terminal.progress("predict") as progress:
        # A bar and lines of JSON would write over each other on one terminal.
        shown = None if json and sys.stdout.isatty() else progress
        for answer in verb.predict(sources, options, progress=shown):
            answers.append(answer)
            if json:
                terminal.show_json_lines([answer.as_json()])
    show_rows(
        csv,
        lambda: report.answers_csv(answers),
        None if json else lambda: report.answers_text(answers, sys.stdout),
    )
    failures = {answer.clip: answer.error for answer in answers if answer.error}
    leave_if_failed(failures, others=not all(answer.error for answer in answers))
