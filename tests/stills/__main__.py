"""Make the pictures of the README anew, from what the commands show today.

``python -m tests.stills`` runs a first run on sample_data on a terminal of its own, renders
heads and photographs pages in Chromium: two minutes. Everything goes to sample_data/pictures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from mecli import files
from tests.stills.pictures import PICTURES, SAMPLE, Studio


def main() -> int:
    """Print name and size of each picture."""
    parser = argparse.ArgumentParser(prog="python -m tests.stills", description=__doc__)
    parser.add_argument("--only", choices=PICTURES, nargs="+", default=list(PICTURES))
    parser.add_argument("--out", type=Path, default=SAMPLE / "pictures")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mecli-stills-") as folder:
        studio = Studio(Path(folder))
        for name in asked.only:
            data = PICTURES[name](studio)
            files.write_bytes(asked.out / name, data)
            sys.stdout.write(f"{asked.out / name}: {len(data) / 1000:.0f} kB\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
