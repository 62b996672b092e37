"""The commands of the group ``bench``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import (
    Csv,
    Epochs,
    Jobs,
    Json,
    RunsFolder,
    check_csv,
    known,
    leave_if_failed,
    show_rows,
    whole_numbers,
)
from mecli.commands.verb import Verbs
from mecli.errors import UsageError

app = typer.Typer(
    cls=Verbs,
    help="Measure speed on this machine, and every model on a corpus.",
    no_args_is_help=True,
)


@app.command("extract")
def bench_extract(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE...", help="Where a few videos come from."),
    ] = None,
    clips: Annotated[int, typer.Option(help="How many clips to extract.")] = 442,
    frames: Annotated[int, typer.Option(help="Frames per clip.")] = 70,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Extract a corpus of the size of MEGC 2019, made from a few videos.

    Example: mecli bench extract sample_data --json
    """
    from mecli.bench import extract as verb
    from mecli.report.clips import figures_text

    options = verb.BenchExtractOptions(clips=clips, frames=frames, jobs=jobs)
    with terminal.progress("bench extract") as progress:
        figures = verb.bench_extract(sources or ["sample_data"], options, progress=progress)
    if json:
        terminal.show_json(figures)
    else:
        terminal.show(figures_text("bench extract", figures))


@app.command("predict")
def bench_predict(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Where a video comes from.")
    ] = "sample_data",
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="The model to ask. [default: as predict]", show_default=False),
    ] = None,
    folder: RunsFolder = Path("runs"),
    frames: Annotated[int, typer.Option(help="Frames of the clip.")] = 200,
    fps: Annotated[float, typer.Option(help="Its frames per second.")] = 200.0,
    repeats: Annotated[int, typer.Option(help="How often; medians are told.")] = 5,
    long_s: Annotated[
        float, typer.Option(help="Seconds of a long video, searched and judged; 0 for none.")
    ] = 20.0,
    json: Json = False,
) -> None:
    """Judge a clip of one second, cold (a whole process) and warm (the model is loaded).

    Then a long video, which is searched first: its frames a second.

    Example: mecli bench predict sample_data --json
    """
    from mecli.bench import predict as verb
    from mecli.report.clips import figures_text

    options = verb.BenchPredictOptions(
        checkpoint=checkpoint,
        runs=folder,
        frames=frames,
        fps=fps,
        repeats=repeats,
        long_s=long_s,
    )
    with terminal.progress("bench predict") as progress:
        figures = verb.bench_predict(source, options, progress=progress)
    if json:
        terminal.show_json(figures)
    else:
        terminal.show(figures_text("bench predict", figures))


@app.command("results")
def bench_results(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As `mecli extract` takes it.")],
    folder: Annotated[Path, typer.Option(help="Keeps the cache and a run per model and seed.")] = (
        Path("results")
    ),
    models: Annotated[
        str | None,
        typer.Option(
            help="As in a,b:2,c@small for 2 seeds of b and a preset of c. [default: all]",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds of every model that draws any.")] = 5,
    protocol: Annotated[str, typer.Option(help=f"One of: {known('protocol')}.")] = "loso",
    labels: Annotated[str, typer.Option(help=f"One of: {known('label scheme')}.")] = "megc2019",
    epochs: Epochs = None,
    train: Annotated[
        bool, typer.Option(help="Train what is missing, or score what is there.")
    ] = True,
    csv: Csv = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --csv.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Train every model under one protocol and print one table; a second call goes on.

    Beside the score of the last epoch stands what the best test epoch would have faked
    (LEAKED), and what was published.

    Example: mecli bench results sample_data --models roi-flow-lstm,cnn-lstm:1
    """
    from mecli.bench import results as verb
    from mecli.report import results as report

    if markdown and json:
        raise UsageError("--markdown and --json exclude each other; give one of them")
    check_csv(csv, json=json, force=force)
    names, seeds_of = verb.wanted(models)
    options = verb.ResultsOptions(
        folder=folder,
        models=names,
        seeds=seeds,
        seeds_of=seeds_of,
        protocol=protocol,
        labels=labels,
        epochs=epochs,
        train=train,
        jobs=jobs,
    )
    with terminal.progress("bench results") as progress:
        found, failures = verb.bench_results(source, options, progress)

    def table() -> str:
        return report.to_markdown(found) if markdown else report.to_text(found, sys.stdout)

    show_rows(csv, lambda: report.to_csv(found), None if json else table)
    if json:
        terminal.show_json(report.to_json(found))
    leave_if_failed(failures)


@app.command("scale")
def bench_scale(
    sizes: Annotated[str, typer.Option(help="Numbers of clips, one after another.")] = "442,4420",
    folder: Annotated[
        Path | None,
        typer.Option(help="Where the files go: .6 MB a clip. [default: the temporary folder]"),
    ] = None,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Measure what the cache and a LOSO cost as clips grow to 10 and 100 times MEGC 2019.

    Clips are made up. One epoch of two folds a worker is trained; the LOSO is extrapolated.

    Example: mecli bench scale --sizes 442,4420,44200 --folder /data/tmp
    """
    from mecli.bench import scale as verb
    from mecli.report.bench import scale_text

    options = verb.BenchScaleOptions(whole_numbers("--sizes", sizes), folder, jobs)
    with terminal.progress("bench scale") as progress:
        rows = verb.bench_scale(options, progress=progress)
    if json:
        terminal.show_json(rows)
    else:
        terminal.show(scale_text(rows, sys.stdout))


@app.command("synth")
def bench_synth(
    subjects: Annotated[int, typer.Option(help="How many faces.")] = 2,
    clips: Annotated[int, typer.Option(help="Clips to render of each.")] = 6,
    pairs: Annotated[int, typer.Option(help="Pairs of onset and apex of each.")] = 48,
    json: Json = False,
) -> None:
    """Render clips and pairs at 320×352 in one process, per second of processor time.

    Example: mecli bench synth --json
    """
    from mecli.bench import synth as verb
    from mecli.report.clips import figures_text

    options = verb.BenchSynthOptions(subjects=subjects, clips=clips, pairs=pairs)
    with terminal.progress("bench synth") as progress:
        figures = verb.bench_synth(options, progress=progress)
    if json:
        terminal.show_json(figures)
    else:
        terminal.show(figures_text("bench synth", figures))


@app.command("train")
def bench_train(
    models: Annotated[
        str, typer.Option(help="Some of: roi-flow-lstm, cnn-lstm, ststnet.")
    ] = "roi-flow-lstm,cnn-lstm,ststnet",
    clips: Annotated[int, typer.Option(help="How many clips to train on.")] = 442,
    subjects: Annotated[int, typer.Option(help="Subjects, each a fold.")] = 68,
    folds: Annotated[
        int | None, typer.Option(help="Folds to time. [default: three a worker]")
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="How long to time each textbook loop, seconds.")
    ] = 10.0,
    scale: Annotated[
        bool, typer.Option("--scale", help="Also measure growth up to 10,000 clips.")
    ] = False,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Time leave-one-subject-out at the size of MEGC 2019 against a textbook PyTorch loop.

    Clips are made up; no file is needed. Takes 3 to 5 minutes on 2 cores, and measures
    right only on a machine that does nothing else.

    Example: mecli bench train --models ststnet --json
    """
    from mecli.bench import train as verb
    from mecli.report.bench import training_text

    options = verb.BenchTrainOptions(
        models=tuple(name.strip() for name in models.split(",")),
        clips=clips,
        subjects=subjects,
        folds=folds,
        seconds=seconds,
        scale=scale,
        jobs=jobs,
    )
    with terminal.progress("bench train") as progress:
        figures = verb.bench_train(options, progress=progress)
    if json:
        terminal.show_json(figures)
    else:
        terminal.show(training_text(figures, sys.stdout))
