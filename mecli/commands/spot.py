"""The command ``spot``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mecli import files, terminal
from mecli.commands.flags import CorpusName, Jobs, Json, Timeout, known, leave_if_failed
from mecli.errors import InputError, UsageError

if TYPE_CHECKING:
    from mecli.report.spots import Spotted


def spot(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO...",
            help="Videos, image folders, corpus folders, manifests, or '-' for a list on stdin.",
            show_default=False,
        ),
    ],
    corpus: CorpusName = None,
    landmarks: Annotated[
        str, typer.Option(help=f"auto or one of: {known('landmarker')}.")
    ] = "auto",
    threshold: Annotated[
        float, typer.Option(help="Least score of an interval: how likely it is one, 0 to 1.")
    ] = 0.85,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second, whatever the videos say.")
    ] = None,
    face: Annotated[
        int | None, typer.Option(help="Which face, largest first, where there are several.")
    ] = None,
    jobs: Jobs = None,
    timeout_s: Timeout = 7200.0,
    csv: Annotated[
        Path | None, typer.Option(help="Also write the intervals as CSV; - is stdout, alone.")
    ] = None,
    eaf: Annotated[
        Path | None,
        typer.Option(help="Also write an ELAN document on each video into this folder."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Search videos below 25 frames/s; replace files.")
    ] = False,
    json: Json = False,
) -> None:
    """Find micro- and macro-expressions in long videos: onset, apex, offset and a score.

    A network judges how the regions of the face move, the head's own motion taken out, in
    multiples of the video's noise. It knows made and rendered faces only: scores are not
    calibrated on real ones. What was felt is not judged. With --json one object a line
    and interval.

    Example: mecli spot interview.mp4 --csv intervals.csv
    """
    from mecli import spot as verb
    from mecli.report import spots as report

    options = verb.SpotOptions(
        corpus=corpus,
        landmarks=landmarks,
        threshold=threshold,
        fps=fps,
        face=face,
        jobs=jobs,
        timeout_s=timeout_s,
        eaf=eaf,
        force=force,
    )
    if csv is not None and str(csv) == "-" and json:
        raise UsageError("--json and --csv - both write to stdout; name a file with --csv")
    if csv is not None and csv.exists() and not force:
        raise InputError(f"{csv}: exists; name another file, or replace it with --force")
    videos: list[Spotted] = []
    with terminal.progress("spot") as progress:
        # A bar and lines of JSON would write over each other on one terminal.
        shown = None if json and sys.stdout.isatty() else progress
        for video in verb.spot(sources, options, progress=shown):
            videos.append(video)
            if json:
                terminal.show_json_lines(video.as_json())
    if csv is not None and str(csv) != "-":
        files.write_text(csv, report.spots_csv(videos))
    if csv is not None and str(csv) == "-":
        terminal.show(report.spots_csv(videos))
    elif not json:
        terminal.show(report.spots_text(videos, sys.stdout))
    leave_if_failed({video.clip: video.error for video in videos if video.error})
