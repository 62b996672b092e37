"""``python -m mecli.bundle``: build the checkpoints that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def main(
    folder: Annotated[Path, typer.Argument(help="Where pairs and maps are kept.")],
    out: Annotated[Path, typer.Argument(help="The folder to write the checkpoints to.")] = Path(),
    identities: int = 1540,
    pairs: int = 13,
    map_identities: int = 3000,
    maps: int = 10,
    views: int = 2,
    jobs: int | None = None,
) -> None:
    """Render, draw, train and write the bundled checkpoints; what is there already is kept."""
    from mecli import terminal
    from mecli.bundle.recipe import BundleOptions, bundle

    options = BundleOptions(
        identities=identities,
        pairs=pairs,
        map_identities=map_identities,
        maps=maps,
        views=views,
        jobs=jobs,
    )
    with terminal.progress("bundle") as progress:
        bundle(folder, out, options, progress)


if __name__ == "__main__":
    typer.run(main)
