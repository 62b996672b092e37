"""The command ``synth``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import Jobs, Json, leave_if_failed, numbers


def synth(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Where the corpus goes.")],
    subjects: Annotated[int, typer.Option(help="How many people.")] = 8,
    clips: Annotated[int, typer.Option(help="Micro-expressions per person.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the people.")] = 0,
    motion_seed: Annotated[
        int | None, typer.Option(help="Seed of motion, rooms and noise. [default: --seed]")
    ] = None,
    classes: Annotated[
        str, typer.Option(help="Some of negative,positive,surprise.")
    ] = "negative,positive,surprise",
    distractors: Annotated[
        float,
        typer.Option(
            help="Clips without an expression, on top: a share below 1, or how many a person."
        ),
    ] = 0.15,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 100.0,
    size: Annotated[str, typer.Option(help="Width x height, pixels.")] = "320x352",
    mm: Annotated[
        str, typer.Option(help="Least,greatest movement of the skin, millimetres.")
    ] = "0.7,2.5",
    form: Annotated[str, typer.Option("--format", help="flat or casme2.")] = "flat",
    codec: Annotated[str, typer.Option(help="auto, h264, png or npz.")] = "auto",
    crf: Annotated[float, typer.Option(help="Quality of H.264; lower is better.")] = 16,
    pairs_only: Annotated[
        bool, typer.Option("--pairs-only", help="Only onset and apex of each clip.")
    ] = False,
    long: Annotated[
        int, typer.Option(help="Long clips with several expressions, blinks and talking.")
    ] = 0,
    long_s: Annotated[float, typer.Option(help="Length of a long clip, seconds.")] = 10.0,
    events: Annotated[
        str, typer.Option(help="Micro-expressions of a long clip: least,greatest, or one number.")
    ] = "3,5",
    truth: Annotated[
        bool, typer.Option("--exact", help="Also write exact flow, landmarks and AU curves.")
    ] = False,
    jobs: Jobs = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder in use.")] = False,
    json: Json = False,
) -> None:
    """Render faces that do not exist, with known micro-expressions, as a corpus.

    The same seeds give the same clips. `mecli extract OUT` takes the result as it is.

    Example: mecli synth faces --subjects 20 --clips 9 --seed 7 && mecli extract faces
    """
    from mecli import synth as verb
    from mecli.report.clips import figures_text

    options = verb.SynthOptions(
        subjects=subjects,
        clips=clips,
        seed=seed,
        motion_seed=motion_seed,
        classes=tuple(name.strip() for name in classes.split(",") if name.strip()),
        distractors=distractors,
        fps=fps,
        size=numbers("--size", size, int, "x"),
        mm=numbers("--mm", mm, float, ","),
        format=form,
        codec=codec,
        crf=crf,
        pairs_only=pairs_only,
        long=long,
        long_s=long_s,
        events=numbers("--events", events if "," in events else f"{events},{events}", int, ","),
        truth=truth,
        jobs=jobs,
        force=force,
    )
    with terminal.progress("synth") as progress:
        summary = verb.synth(folder, options, progress=progress)
    if json:
        terminal.show_json(summary.as_json())
    else:
        figures = {n: v for n, v in summary.as_json().items() if n != "failed"}
        terminal.show(figures_text("synth", figures))
    leave_if_failed(summary.failures)
