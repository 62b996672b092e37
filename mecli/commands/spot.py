"""The command ``spot``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mecli import terminal
from mecli.commands.flags import (
    CorpusName,
    Csv,
    Eaf,
    Face,
    Fps,
    Jobs,
    Json,
    Landmarks,
    Overlay,
    Sources,
    Timeout,
    check_csv,
    leave_if_failed,
    show_rows,
)

if TYPE_CHECKING:
    from mecli.report.spots import Spotted


def spot(
    sources: Sources,
    corpus: CorpusName = None,
    landmarks: Landmarks = "auto",
    threshold: Annotated[
        float, typer.Option(help="Least score of an interval: how likely it is one, 0 to 1.")
    ] = 0.85,
    fps: Fps = None,
    face: Face = None,
    jobs: Jobs = None,
    timeout_s: Timeout = 7200.0,
    csv: Csv = None,
    eaf: Eaf = None,
    overlay: Overlay = None,
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

    Example: mecli spot interview.mp4 --csv intervals.csv --overlay film.mp4
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
        overlay=overlay,
        force=force,
    )
    check_csv(csv, json=json, force=force)
    videos: list[Spotted] = []
    with terminal.progress("spot") as progress:
        # A bar and lines of JSON would write over each other on one terminal.
        shown = None if json and sys.stdout.isatty() else progress
        for video in verb.spot(sources, options, progress=shown):
            videos.append(video)
            if json:
                terminal.show_json_lines(video.as_json())
    show_rows(
        csv,
        lambda: report.spots_csv(videos),
        None if json else lambda: report.spots_text(videos, sys.stdout),
    )
    failures = {video.clip: video.error for video in videos if video.error}
    leave_if_failed(failures, others=not all(video.error for video in videos))
