"""The command line: each command parses, calls one function and prints its result."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mecli import __version__, registry, terminal
from mecli.errors import INTERRUPTED, InputError, MecliError

BAD_INPUT = InputError.exit_code
_BROKEN_PIPE = 141


class _Group(TyperGroup):
    """Turns an expected failure into one line on stderr and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a bug keeps its traceback."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except MecliError as error:
            terminal.note(f"mecli: {error}")
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            terminal.note("mecli: interrupted; what is finished is kept")
            raise typer.Exit(INTERRUPTED) from error
        except BrokenPipeError as error:
            # The reader (such as `head`) has what it wants; Python must not flush again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(_BROKEN_PIPE) from error
        return result


app = typer.Typer(
    cls=_Group,
    name="mecli",
    help="Recognise facial micro-expressions, honestly and fast.",
    epilog="A first run: mecli extract sample_data && mecli train && mecli evaluate",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _known(kind: str) -> str:
    names = {
        "corpus": registry.CORPORA,
        "landmarker": registry.LANDMARKERS,
        "model": registry.MODELS,
        "flow": registry.FLOWS,
        "temporal": registry.TEMPORAL,
        "scheme": registry.SCHEMES,
        "protocol": registry.PROTOCOLS,
    }
    return ", ".join(names[kind])


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
CachePath = Annotated[
    Path,
    typer.Option("--cache", "-o", envvar="MECLI_CACHE", help="The HDF5 cache."),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", help="Worker processes; 0 is this one. [default: all cores]"),
]


def _version(wanted: bool) -> None:
    if wanted:
        terminal.show(f"mecli {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    terminal.raise_on_sigterm()


@app.command()
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
    cache: CachePath = Path("mecli.h5"),
    corpus: Annotated[
        str | None, typer.Option(help=f"Read every source as one of: {_known('corpus')}.")
    ] = None,
    as_published: Annotated[
        bool,
        typer.Option("--as-published", help="Leave out the field's corrections of the sheets."),
    ] = False,
    landmarks: Annotated[
        str,
        typer.Option(
            help=f"auto or one of: {_known('landmarker')}. auto takes face-alignment if its "
            "weights are there, else embedded."
        ),
    ] = "auto",
    steps: Annotated[int, typer.Option(help="Time steps from onset to offset.")] = 16,
    temporal: Annotated[str, typer.Option(help=f"One of: {_known('temporal')}.")] = "uniform",
    flow: Annotated[str, typer.Option(help=f"One of: {_known('flow')}.")] = "dis",
    jobs: Jobs = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Longest time for one clip, seconds.")
    ] = 300.0,
    retry: Annotated[bool, typer.Option("--retry", help="Try clips again that failed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Throw the old cache away.")] = False,
    only_list: Annotated[
        bool, typer.Option("--list", help="Print the clips that would be taken, and stop.")
    ] = False,
    json: Json = False,
) -> None:
    """Turn faces into aligned ROI clips and flow, in the cache.

    Clips that are in the cache already and unchanged are left alone.

    A manifest has the columns path,subject,onset,apex,offset,label,fps (only path is
    required; frames count from 0).

    Example: mecli extract casme2/ --list --json | head
    """
    from mecli import extract as verb
    from mecli.report import clips as report

    options = verb.ExtractOptions(
        corpus=corpus,
        as_published=as_published,
        landmarks=landmarks,
        steps=steps,
        temporal=temporal,
        flow=flow,
        jobs=jobs,
        timeout_s=timeout_s,
        retry=retry,
        force=force,
    )
    if only_list:
        found = verb.list_clips(sources, options)
        if json:
            terminal.show_json_lines(map(report.clip_json, found.clips))
        else:
            terminal.show(report.clips_text(found.clips, sys.stdout))
        _leave_if_failed(found.failures)
        return
    with terminal.progress("extract") as progress:
        summary = verb.extract(sources, cache, options, progress=progress)
    if json:
        terminal.show_json(summary.as_json())
    else:
        terminal.show(report.summary_text(summary.as_json()))
    _leave_if_failed(summary.failures)


def _leave_if_failed(failures: dict[str, str]) -> None:
    if failures:
        from mecli.report.clips import failures_text

        terminal.note(failures_text(failures))
        raise typer.Exit(BAD_INPUT)


@app.command()
def train(
    caches: Annotated[
        list[Path] | None,
        typer.Option(
            "--cache", "-c", envvar="MECLI_CACHE", help="The HDF5 cache; may be given repeatedly."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help=f"One of: {_known('model')}.")] = "roi-flow-lstm",
    protocol: Annotated[str, typer.Option(help=f"One of: {_known('protocol')}.")] = "loso",
    labels: Annotated[
        str, typer.Option(help=f"One of: {_known('scheme')}; or a CSV with columns label,class.")
    ] = "megc2019",
    epochs: Annotated[int | None, typer.Option(help="[default: the model's own]")] = None,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    seeds: Annotated[int, typer.Option(help="How many seeds to repeat everything with.")] = 1,
    k: Annotated[int, typer.Option(help="Folds of kfold.")] = 5,
    share: Annotated[float, typer.Option(help="Share of subjects that holdout tests.")] = 0.2,
    preset: Annotated[
        str | None, typer.Option(help="A named set of the model's options, such as paper.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="A model option as name=value; may be given repeatedly."),
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, pool, stacked or sequential.")] = "auto",
    precision: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    selection: Annotated[
        str, typer.Option(help="Which epoch counts: last (honest and the default).")
    ] = "last",
    final: Annotated[
        bool, typer.Option(help="Also fit a checkpoint on all clips, for predict.")
    ] = True,
    keep_weights: Annotated[bool, typer.Option(help="Keep the weights of every fold.")] = True,
    jobs: Jobs = None,
    folder: Annotated[
        Path, typer.Option("--runs", envvar="MECLI_RUNS", help="Where the run folder goes.")
    ] = Path("runs"),
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this run; finished folds stay.")
    ] = None,
    options_file: Annotated[
        Path | None,
        typer.Option("--options", help="Take all options from a run's options.json instead."),
    ] = None,
    json: Json = False,
) -> None:
    """Train a model, every fold from scratch; the held-out subject decides nothing.

    Writes a run folder with held-out scores per clip, weights and a final checkpoint.

    Example: mecli train --protocol loso --model cnn-lstm --set input=flow
    """
    from mecli import train as verb
    from mecli.report import runs as report

    with terminal.progress("train") as progress:
        if resume is not None:
            result = verb.resume(resume, progress, jobs)
        elif options_file is not None:
            result = verb.train(verb.read_options(options_file), progress)
        else:
            options = verb.TrainOptions(
                caches=tuple(caches or [Path("mecli.h5")]),
                model=model,
                preset=preset,
                model_options=verb.parse_settings(settings or []),
                protocol=protocol,
                labels=labels,
                k=k,
                share=share,
                epochs=epochs,
                seed=seed,
                seeds=seeds,
                engine=engine,
                jobs=jobs,
                precision=precision,
                selection=selection,
                final=final,
                keep_weights=keep_weights,
                runs=folder,
            )
            result = verb.train(options, progress)
    for line in result.warnings:
        terminal.note(f"warning: {line}")
    if json:
        terminal.show_json(result.as_json())
    else:
        terminal.show(report.train_text(result.as_json(), sys.stdout))


@app.command()
def evaluate(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|CSV...",
            help="Run folders, CSV files with clip,subject,corpus,label,prediction, or '-'. "
            "[default: the newest run]",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--runs", envvar="MECLI_RUNS", help="Where runs are.")
    ] = Path("runs"),
    classes: Annotated[
        str, typer.Option(help="The class list, as a,b,c, for a CSV without scheme.")
    ] = "",
    labels: Annotated[
        str | None, typer.Option(help=f"Take the class list of: {_known('scheme')}.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Also score by: corpus, subject.")] = None,
    resamples: Annotated[
        int, typer.Option(help="Bootstrap resamples over subjects for the intervals.")
    ] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    json: Json = False,
) -> None:
    """Score runs: pooled UF1 and UAR with 95 % intervals over subjects.

    Several runs are compared on the clips they share, by a paired bootstrap.

    Example: mecli evaluate runs/* --json | python -m json.tool
    """
    from mecli import evaluate as verb
    from mecli.report import evaluation as report

    options = verb.EvaluateOptions(
        runs=folder,
        classes=tuple(c.strip() for c in classes.split(",")) if classes else (),
        labels=labels,
        by=by,
        resamples=resamples,
        seed=seed,
    )
    result = verb.evaluate(runs or (), options, sys.stdin)
    for line in result.notes:
        terminal.note(f"note: {line}")
    if json:
        terminal.show_json(report.to_json(result))
    else:
        terminal.show(report.to_text(result, sys.stdout))


@app.command()
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
    folder: Annotated[
        Path, typer.Option("--runs", envvar="MECLI_RUNS", help="Where runs are.")
    ] = Path("runs"),
    corpus: Annotated[
        str | None, typer.Option(help=f"Read every source as one of: {_known('corpus')}.")
    ] = None,
    landmarks: Annotated[
        str | None,
        typer.Option(help=f"auto or one of: {_known('landmarker')}. [default: as in training]"),
    ] = None,
    jobs: Jobs = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Longest time for one clip, seconds.")
    ] = 300.0,
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
    _leave_if_failed({answer.clip: answer.error for answer in answers if answer.error})


bench = typer.Typer(
    help="Measure speed on this machine: figures and the share of each stage.",
    no_args_is_help=True,
)
app.add_typer(bench, name="bench")


@bench.command("extract")
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
    from mecli import bench as verb
    from mecli.report.clips import figures_text

    options = verb.BenchExtractOptions(clips=clips, frames=frames, jobs=jobs)
    with terminal.progress("bench extract") as progress:
        figures = verb.bench_extract(sources or ["sample_data"], options, progress=progress)
    if json:
        terminal.show_json(figures)
    else:
        terminal.show(figures_text("bench extract", figures))


def main() -> None:
    """Run the command line and leave with its exit code."""
    app(prog_name="mecli")
