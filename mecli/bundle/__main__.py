"""``python -m mecli.bundle``: build the checkpoint that ships."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def main(
    folder: Annotated[Path, typer.Argument(help="Where rendered shards are kept.")],
    out: Annotated[Path, typer.Argument(help="The checkpoint to write.")] = Path(
        "bundled.safetensors"
    ),
    identities: int = 411,
    pairs: int = 13,
    map_identities: int = 2000,
    maps: int = 10,
    epochs: int = 6,
    jobs: int | None = None,
) -> None:
    """Render, train and write the bundled checkpoint; what is rendered already is kept."""
    from mecli import terminal
    from mecli.bundle.recipe import BundleOptions, bundle

    options = BundleOptions(
        identities=identities,
        pairs=pairs,
        map_identities=map_identities,
        maps=maps,
        epochs=epochs,
        jobs=jobs,
    )
    with terminal.progress("bundle") as progress:
        bundle(folder, out, options, progress)


if __name__ == "__main__":
    typer.run(main)
