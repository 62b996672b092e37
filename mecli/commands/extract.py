"""The command ``extract``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import (
    AsPublished,
    ClusterAddress,
    CorpusName,
    FlowName,
    Jobs,
    Json,
    Landmarks,
    ShardOf,
    Timeout,
    WrittenCachePath,
    known,
    leave_if_failed,
    whole_numbers,
)


def extract(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Corpus folder, folder class/subject/clip, manifest CSV, video, image folder, "
            "or '-' for a list of those on stdin.",
            show_default=False,
        ),
    ],
    cache: WrittenCachePath = Path("mecli.h5"),
    corpus: CorpusName = None,
    as_published: AsPublished = False,
    landmarks: Landmarks = "auto",
    steps: Annotated[int, typer.Option(help="Time steps from onset to offset.")] = 16,
    temporal: Annotated[
        str, typer.Option(help=f"One of: {known('temporal normalisation')}.")
    ] = "uniform",
    flow: FlowName = "dis",
    head_motion: Annotated[
        str,
        typer.Option(
            help=f"How the head's own motion is taken out, one of: {known('head motion')}. "
            "polynomial is how it was done at first: it takes much of raised brows along."
        ),
    ] = "rigid",
    images: Annotated[
        str,
        typer.Option(
            help="Which flow images of a clip to take, where a corpus holds flow: 0, or 0,1."
        ),
    ] = "0",
    magnify: Annotated[
        str,
        typer.Option(
            help="Draw movements larger: none or METHOD:FACTOR such as lagrangian:5; METHOD is "
            f"one of: {known('magnification')}."
        ),
    ] = "none",
    jobs: Jobs = None,
    timeout_s: Timeout = 300.0,
    retry: Annotated[bool, typer.Option("--retry", help="Try clips again that failed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Throw the old cache away.")] = False,
    shard: ShardOf = None,
    cluster: ClusterAddress = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Print the clips that would be taken, and stop.")
    ] = False,
    json: Json = False,
) -> None:
    """Turn faces into aligned ROI clips and flow, in the cache.

    Clips that are in the cache already and unchanged are left alone.

    A manifest has the columns path,subject,onset,apex,offset,label,fps (only path is
    required; frames count from 0).

    Example: mecli extract sample_data

    Example: mecli extract CASME2/ SAMM/ SMIC/HS/ -o megc.h5

    Example: mecli extract casme2/ --list --json | head
    """
    from mecli import extract as verb
    from mecli import shards
    from mecli.cluster import Cluster
    from mecli.report import clips as report

    options = verb.ExtractOptions(
        corpus=corpus,
        as_published=as_published,
        landmarks=landmarks,
        steps=steps,
        temporal=temporal,
        flow=flow,
        head_motion=head_motion,
        images=whole_numbers("--images", images),
        magnify=magnify,
        jobs=jobs,
        timeout_s=timeout_s,
        retry=retry,
        force=force,
        shard=shards.parse(shard) if shard is not None else None,
        cluster=Cluster(cluster) if cluster is not None else None,
    )
    if only_list:
        found = verb.list_clips(sources, options)
        if json:
            terminal.show_json_lines(map(report.clip_json, found.clips))
        else:
            terminal.show(report.clips_text(found.clips, sys.stdout))
        _tell(found.notes)
        leave_if_failed(found.failures, others=bool(found.clips))
        return
    with terminal.progress("extract") as progress:
        summary = verb.extract(sources, cache, options, progress=progress)
    if json:
        terminal.show_json(summary.as_json())
    else:
        terminal.show(report.summary_text(summary.as_json()))
    _tell(summary.notes)
    leave_if_failed(summary.failures, others=summary.clips > 0)


def _tell(notes: Sequence[str]) -> None:
    for line in notes:
        terminal.note(f"note: {line}")
