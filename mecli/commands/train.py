"""The command ``train``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mecli import terminal
from mecli.commands.flags import (
    ClusterAddress,
    Epochs,
    Jobs,
    Json,
    Preset,
    RunsFolder,
    ShardOf,
    known,
)
from mecli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mecli.train import TrainResult
    from mecli.units import UnitsResult

    Results = Sequence[TrainResult | UnitsResult]


# What a run may be resumed with: how and where the work is done, never what is trained.
_RESUMED = {
    "resume", "folder", "jobs", "shard", "fold", "cluster", "gpus", "json", "options_file",
    "print_options",
}  # fmt: skip


def train(
    ctx: typer.Context,
    caches: Annotated[
        list[Path] | None,
        typer.Option(
            "--cache", "-c", envvar="MECLI_CACHE", help="The HDF5 cache; may be given repeatedly."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help=f"One of: {known('model')}; or several, as in a,b (see `mecli models`)."),
    ] = "roi-flow-lstm",
    protocol: Annotated[str, typer.Option(help=f"One of: {known('protocol')}.")] = "loso",
    labels: Annotated[
        str,
        typer.Option(
            help=f"One of: {known('label scheme')}; au for all twelve of them, judged one by "
            "one; or a CSV with columns label,class."
        ),
    ] = "megc2019",
    epochs: Epochs = None,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    seeds: Annotated[int, typer.Option(help="How many seeds to repeat everything with.")] = 1,
    k: Annotated[int, typer.Option(help="Folds of kfold.")] = 5,
    share: Annotated[float, typer.Option(help="Share of subjects that holdout tests.")] = 0.2,
    preset: Preset = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="A model option as name=value; may be given repeatedly."),
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, pool, stacked or sequential.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="float32, float64, or bf16 where the processor has it.")
    ] = "float32",
    selection: Annotated[
        str,
        typer.Option(
            help="Which epoch counts: last; inner (chosen on training subjects set aside, then "
            "trained anew on all of them); oracle (shows what picking the best test epoch fakes: "
            "LEAKED, writes no weights)."
        ),
    ] = "last",
    pretrained: Annotated[
        str,
        typer.Option(
            help="Begin every fold with this checkpoint, trained on other people; 'bundled' "
            "(bundled-faces or bundled-maps, by what the clips hold); or 'none'. auto: bundled, "
            "where it fits the model and what the clips show."
        ),
    ] = "auto",
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Train the last stage only; the others stay.")
    ] = False,
    final: Annotated[
        bool, typer.Option(help="Also fit a checkpoint on all clips, for predict.")
    ] = True,
    keep_weights: Annotated[bool, typer.Option(help="Keep the weights of every fold.")] = True,
    jobs: Jobs = None,
    folder: RunsFolder = Path("runs"),
    run: Annotated[
        Path | None,
        typer.Option(
            help="Write into this folder; jobs with equal options may share it.", show_default=False
        ),
    ] = None,
    shard: ShardOf = None,
    fold: Annotated[
        str | None, typer.Option(help="Train only this fold, by its name or number from 0.")
    ] = None,
    cluster: ClusterAddress = None,
    gpus: Annotated[
        float, typer.Option(help="Share of a GPU that each fold holds on the cluster.")
    ] = 0.0,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with this run by its own options; finished folds stay."),
    ] = None,
    json: Json = False,
) -> list[Path]:
    """Train a model, every fold from scratch; the held-out subject decides nothing.

    Writes a run folder with held-out scores per clip, weights and a final checkpoint.

    Example: mecli train --protocol loso --model cnn-lstm --set input=flow

    Example: mecli train -c casme2.h5 -c samm.h5 --protocol lodo --seeds 5

    Example: mecli train --resume runs/20261126-101500-roi-flow-lstm-loso
    """
    from mecli import shards, units
    from mecli import train as verb
    from mecli.cluster import Cluster
    from mecli.training.part import Part

    if resume is not None:
        _refuse_others(ctx, resume)
    part = Part(shards.parse(shard) if shard is not None else None, fold)
    names = [name.strip() for name in model.split(",")]
    with terminal.progress("train") as progress:
        if resume is not None and units.is_units(resume):
            results: Results = [units.resume_units(resume, progress, jobs)]
        elif resume is not None:
            there = Cluster(cluster, gpus) if cluster is not None else None
            results = [verb.resume(resume, progress, jobs, part, there)]
        else:
            options = verb.TrainOptions(
                caches=tuple(caches or [Path("mecli.h5")]),
                model=names[0],
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
                cluster=cluster,
                gpus=gpus,
                precision=precision,
                selection=selection,
                pretrained=pretrained,
                freeze=freeze,
                final=final,
                keep_weights=keep_weights,
                runs=folder,
            )
            results = units.train_any(options, names, progress, run, part)
    _show(results, names, json=json)
    return [result.run for result in results]


def _refuse_others(ctx: typer.Context, run: Path) -> None:
    """Refuse what was asked for on the command line, but is fixed since the run began."""
    for param in ctx.command.params:
        source = ctx.get_parameter_source(str(param.name))
        if param.name not in _RESUMED and source is not None and source.name == "COMMANDLINE":
            name = max(param.opts, key=len)
            raise UsageError(
                f"{name} is given with --resume, but {run} goes on with the options it began "
                f"with; leave {name} out, or begin another run"
            )


def _show(results: Results, names: Sequence[str], *, json: bool) -> None:
    from mecli.report import runs as report

    for line in dict.fromkeys(line for result in results for line in result.warnings):
        terminal.note(f"warning: {line}")
    documents = [result.as_json() for result in results]
    of_units = any("parts" in document for document in documents)
    named = [{"model": name, **d} for name, d in zip(names, documents, strict=len(documents) > 1)]
    if json:
        terminal.show_json(documents[0] if len(documents) == 1 else named)
    elif of_units:
        terminal.show(report.units_text(documents, sys.stdout))
    elif len(documents) == 1:
        terminal.show(report.train_text(documents[0], sys.stdout))
    else:
        terminal.show(report.trained_text(named, sys.stdout))
