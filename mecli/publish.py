"""Write what was found where a person looks at it: a page, and figures for a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli import evidence, files
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mecli.report.evaluation import Evaluation


def check_places(report: Path | None, figures: Path | None, *, force: bool) -> None:
    """Raise `InputError` before any work if something lies where it would be written."""
    for path in (report, figures):
        if path is not None and path.exists() and not force:
            raise InputError(f"{path}: exists; name another place, or replace it with --force")


def publish(
    result: Evaluation,
    report: Path | None = None,
    figures: Path | None = None,
    caches: Sequence[Path] = (),
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Write the page `report` and the folder `figures` on `result`, those that are given.

    `caches` hold the clips that were scored; without any, those that the runs name.
    """
    if report is None and figures is None:
        return
    from mecli.report import gallery
    from mecli.report.evaluation_page import page

    behind = [evidence.gather(run, caches, progress) for run in result.runs]
    if report is not None:
        files.write_text(report, "".join(page(result, behind)))
    if figures is not None:
        for name, data in gallery.files(result, behind):
            files.write_bytes(figures / name, data)
