"""Flags that several commands share, worded once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from mecli import files, registry, terminal
from mecli.errors import InputError, UsageError

N = TypeVar("N", int, float)
Overlay = Annotated[
    Path | None, typer.Option(help="Also draw each clip: an .mp4, or a folder for several.")
]
Eaf = Annotated[
    Path | None,
    typer.Option(help="Also write ELAN documents: an .eaf, or a folder for several clips."),
]


def known(kind: str) -> str:
    """Return the registered names of `kind` for a help text."""
    return ", ".join(registry.names(kind))


class Failed(typer.Exit):
    """Leaves with the exit code of bad input; `others` tells whether anything did not fail."""

    def __init__(self, *, others: bool) -> None:
        super().__init__(InputError.exit_code)
        self.others = others


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
CachePath = Annotated[
    Path, typer.Option("--cache", "-c", envvar="MECLI_CACHE", help="The HDF5 cache.")
]
WrittenCachePath = Annotated[
    Path, typer.Option("--cache", "-c", "-o", envvar="MECLI_CACHE", help="The HDF5 cache.")
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", help="Worker processes; 0 is this one. [default: all cores]"),
]
RunsFolder = Annotated[Path, typer.Option("--runs", envvar="MECLI_RUNS", help="Where runs are.")]
Timeout = Annotated[float, typer.Option("--timeout", help="Longest time for one clip, seconds.")]
ShardOf = Annotated[
    str | None, typer.Option("--shard", help="Do only share i of n, written i/n: one job of many.")
]
ClusterAddress = Annotated[
    str | None,
    typer.Option("--cluster", help="Work on a Ray cluster: auto, local, HOST:PORT or ray://HOST."),
]
CorpusName = Annotated[
    str | None, typer.Option(help=f"Read every source as one of: {known('corpus')}.")
]
AsPublished = Annotated[
    bool,
    typer.Option("--as-published", help="Leave out the field's corrections of the sheets."),
]
_LANDMARKS = (
    f"auto or one of: {known('landmarker')}. auto takes face-alignment if its weights are there, "
    "else embedded."
)
Landmarks = Annotated[str, typer.Option(help=_LANDMARKS)]
LandmarksOrTrained = Annotated[
    str | None, typer.Option("--landmarks", help=f"{_LANDMARKS} [default: as in training]")
]
FlowName = Annotated[str, typer.Option(help=f"One of: {known('flow')}.")]
Fps = Annotated[
    float | None, typer.Option(help="Frames per second, whatever the clips themselves say.")
]
Face = Annotated[
    int | None,
    typer.Option(help="Which face, 1 being the largest. [default: 1]", show_default=False),
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--report", help="Also write one HTML page that needs nothing else."),
]
Epochs = Annotated[
    int | None, typer.Option(help="Passes over the training clips. [default: the model's own]")
]
Preset = Annotated[
    str | None, typer.Option(help="A named set of the model's options, such as paper.")
]
Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="CLIP...",
        help="Videos, image folders, corpus folders, manifests, or '-' for a list on stdin.",
        show_default=False,
    ),
]
Csv = Annotated[
    Path | None, typer.Option(help="Also write what is found as CSV; - is stdout, alone.")
]


def check_csv(csv: Path | None, *, json: bool, force: bool) -> None:
    """Raise before any work if two results want stdout, or the file is there already."""
    if csv is not None and str(csv) == "-" and json:
        raise UsageError("--json and --csv - both write to stdout; name a file with --csv")
    if csv is not None and csv.exists() and not force:
        raise InputError(f"{csv}: exists; name another file, or replace it with --force")


def show_rows(csv: Path | None, rows: Callable[[], str], table: Callable[[], str] | None) -> None:
    """Write `rows` to the file or stdout if asked for, and `table` if stdout is free for it."""
    if csv is not None and str(csv) == "-":
        terminal.show(rows())
        return
    if csv is not None:
        files.write_text(csv, rows())
    if table is not None:
        terminal.show(table())


def leave_if_failed(failures: Mapping[str, str], *, others: bool = True) -> None:
    """List `failures` on stderr and leave with the exit code of bad input, if there are any.

    `others` tells whether there were clips that did not fail.
    """
    if failures:
        from mecli.report.clips import failures_text

        terminal.note(failures_text(failures, others=others))
        raise Failed(others=others)


def whole_numbers(flag: str, text: str) -> tuple[int, ...]:
    """Return the numbers in ``0,1,2``; `UsageError` naming `flag` if they are none."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{flag} is '{text}', expected whole numbers such as 0,1") from error


def numbers(flag: str, text: str, kind: type[N], between: str) -> tuple[N, N]:
    """Return the two numbers in `text`, such as ``320x352``; `UsageError` naming `flag`."""
    try:
        first, second = (kind(part) for part in text.split(between))
    except ValueError as error:
        raise UsageError(f"{flag} is '{text}', expected two numbers as in 1{between}2") from error
    return first, second
