"""The command ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mecli import terminal
from mecli.commands.flags import Json


def export(
    cache: Annotated[
        Path, typer.Argument(metavar="CACHE", help="The HDF5 cache.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The folder to write.", show_default=False)
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="folders (PNG per ROI and step, NPZ, CSV) or flow-archive (28×28 pictures of "
            "u, v and strain with the classes of megc2019).",
        ),
    ] = "folders",
    force: Annotated[
        bool, typer.Option("--force", help="Write into a folder that is not empty.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a cache as plain pictures, arrays and a table.

    Example: mecli export mecli.h5 flow/ --format flow-archive
    """
    from mecli import export as verb
    from mecli.report.tables import Table, render

    options = verb.ExportOptions(form=form, force=force)
    with terminal.progress("export") as progress:
        done = verb.export(cache, out, options, progress=progress)
    if json:
        terminal.show_json(
            {
                "folder": str(done.path),
                "clips": done.clips,
                "files": done.files,
                "left_out": [{"clip": c, "reason": r} for c, r in sorted(done.left_out.items())],
            }
        )
    else:
        rows = [["clips", str(done.clips)], ["files", str(done.files)]]
        rows.append(["left out", f"{len(done.left_out)} (reasons with --json)"])
        terminal.show(render([Table([str(done.path), ""], rows, left=2)]))
