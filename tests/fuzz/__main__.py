"""Damage files and read them: ``python -m tests.fuzz READER --n 5000`` (READER or ``all``)."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.drive import drive
from tests.fuzz.readers import READERS


def main() -> int:
    """Print what became of the files of each reader; 1 if anything ended as it should not."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("reader", choices=[*READERS, "all"])
    parser.add_argument("--n", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that ended wrongly")
    asked = parser.parse_args()
    wrong = 0
    for name in READERS if asked.reader == "all" else [asked.reader]:
        start = time.perf_counter()
        found = drive(READERS[name], asked.n, asked.seed, asked.keep and asked.keep / name)
        sys.stdout.write(f"{name}: {found} ({time.perf_counter() - start:.0f} s)\n")
        for number, what in list(found.wrong.items())[:20]:
            sys.stdout.write(f"  {number}: {what}\n")
        sys.stdout.flush()
        wrong += len(found.wrong)
    return wrong > 0


if __name__ == "__main__":
    raise SystemExit(main())
