"""The commands ``info``, ``verify``, ``repair`` and ``merge``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import Jobs, Json, Timeout
from mecli.errors import InputError

_WHICH = "Caches, folders of caches, or '-' for a list on stdin."
_CachesAndRuns = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CACHE|RUN|CHECKPOINT...",
        envvar="MECLI_CACHE",
        help=f"{_WHICH} Run folders and .safetensors too. [default: mecli.h5]",
    ),
]


def info(
    caches: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CACHE...", envvar="MECLI_CACHE", help=f"{_WHICH} [default: mecli.h5]"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say what caches hold: clips, classes, options, failures, quality.

    Example: mecli info *.h5 --json
    """
    from mecli import info as verb
    from mecli.report import caches as report

    found = verb.info(caches or ["mecli.h5"], stdin=sys.stdin)
    if json:
        terminal.show_json(report.info_json(found))
    else:
        terminal.show(report.info_text(found, sys.stdout))


def verify(
    caches: _CachesAndRuns = None,
    jobs: Jobs = None,
    timeout_s: Timeout = 300.0,
    json: Json = False,
) -> None:
    """Read everything and check it: checksums, shapes, finite numbers.

    Leaves with 3 if anything is damaged.

    Example: mecli verify mecli.h5 runs/*
    """
    from mecli import verify as verb
    from mecli.report import caches as report

    options = verb.VerifyOptions(jobs=jobs, timeout_s=timeout_s)
    with terminal.progress("verify") as progress:
        found = verb.verify(caches or ["mecli.h5"], options, stdin=sys.stdin, progress=progress)
    if json:
        terminal.show_json(report.verified_json(found))
    else:
        terminal.show(report.verified_text(found, sys.stdout))
    if any(item.problems for item in found):
        raise typer.Exit(InputError.exit_code)


def repair(
    caches: _CachesAndRuns = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, only say it.")] = False,
    jobs: Jobs = None,
    timeout_s: Timeout = 300.0,
    json: Json = False,
) -> None:
    """Take out what is damaged and keep the rest: clips of a cache, folds of a run.

    What is lost is made anew by `mecli extract` or `mecli train --resume`; a cache that
    cannot be read at all is rebuilt from the parts beside it, if there are any. Leaves with
    3 if something is damaged and not repaired.

    Example: mecli repair mecli.h5 runs/* --apply
    """
    from mecli import repair as verb
    from mecli.report import caches as report
    from mecli.verify import VerifyOptions

    options = VerifyOptions(jobs=jobs, timeout_s=timeout_s)
    with terminal.progress("verify") as progress:
        found = verb.repair(
            caches or ["mecli.h5"], options, apply=apply, stdin=sys.stdin, progress=progress
        )
    if json:
        terminal.show_json(report.repaired_json(found, apply))
    else:
        terminal.show(report.repaired_text(found, apply, sys.stdout))
    if any(not (apply and one.steps) for one in found):
        raise typer.Exit(InputError.exit_code)


def merge(
    caches: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CACHE...", envvar="MECLI_CACHE", help=f"{_WHICH} [default: mecli.h5]"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Put all clips into this cache; the others stay."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the cache of -o.")] = False,
    json: Json = False,
) -> None:
    """Merge the parts that wait beside a cache, or several caches into one.

    Example: mecli merge shard*.h5 -o mecli.h5
    """
    from mecli import merge as verb
    from mecli.report import caches as report

    merged = verb.merge_caches(caches or ["mecli.h5"], out, force=force, stdin=sys.stdin)
    if json:
        terminal.show_json(report.merged_json(merged))
    else:
        terminal.show(report.merged_text(merged))
