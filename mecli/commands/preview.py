"""The command ``preview``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import (
    CorpusName,
    FlowName,
    Jobs,
    Json,
    Landmarks,
    Timeout,
    leave_if_failed,
)


def preview(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE|CACHE",
            help="A cache, a corpus folder, manifest, video or image folder.",
            show_default=False,
        ),
    ],
    clips: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CLIP...",
            help="Clip ids, or their ends such as EP02_01f. [default: the first]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The picture (.png) or page (.html) to write.")
    ] = Path("preview.png"),
    count: Annotated[int, typer.Option(help="How many clips to show where none is named.")] = 1,
    corpus: CorpusName = None,
    landmarks: Landmarks = "auto",
    flow: FlowName = "dis",
    jobs: Jobs = None,
    timeout_s: Timeout = 300.0,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of -o.")] = False,
    json: Json = False,
) -> None:
    """Draw contact sheets: onset, apex, offset, landmarks, ROIs, flow, motion curve.

    Example: mecli preview sample_data s01_02 -o preview.html
    """
    from mecli import preview as verb

    options = verb.PreviewOptions(
        count=count,
        corpus=corpus,
        landmarks=landmarks,
        flow=flow,
        jobs=jobs,
        timeout_s=timeout_s,
        force=force,
    )
    with terminal.progress("preview") as progress:
        drawn = verb.preview(source, clips or (), out, options, stdin=sys.stdin, progress=progress)
    if json:
        terminal.show_json({"file": str(drawn.path), "clips": list(drawn.clips)})
    else:
        terminal.show(str(drawn.path))
    leave_if_failed(drawn.failures, others=bool(drawn.clips))
