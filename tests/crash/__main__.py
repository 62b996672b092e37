"""Kill work at random moments, cut its power or fill its disk, and count what is lost.

``python -m tests.crash --kills 1000`` kills. ``--power 1000`` cuts the power instead, in
simulation. ``--full 40`` lets every file end early, at 40 sizes, as a quota does; with
``--disk FOLDER``, a small file system, that is filled up.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from tests.crash.drive import fill_often, kill_often
from tests.crash.power import cut_often
from tests.crash.victims import VICTIMS

_SHARES = {
    "extract": 4, "extract by workers": 1, "array job": 2, "merge": 6, "train": 5,
    "train by workers": 1, "checkpoint": 1,
}  # fmt: skip
"""Of twenty kills."""
_ALONE = [name for name in VICTIMS if "workers" not in name]
"""Those that write in one process alone, which is what is recorded."""


def main() -> int:
    """Print one line per victim; 1 if anything was lost, unreadable or not as undisturbed."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="over all victims")
    parser.add_argument("--full", type=int, help="limits tried per victim, instead of kills")
    parser.add_argument("--power", type=int, help="power cuts over all victims, instead of kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=VICTIMS, nargs="+")
    parser.add_argument("--disk", type=Path, help="with --full: a small file system to fill")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    events = wrong = 0
    names = asked.only or (_ALONE if asked.power else list(VICTIMS))
    for name in names:
        start = time.perf_counter()
        share = (asked.power or asked.kills) * _SHARES[name] // sum(_SHARES[n] for n in names)
        with tempfile.TemporaryDirectory(prefix="mecli-crash-") as folder:
            if asked.full:
                toll = fill_often(VICTIMS[name], Path(folder), asked.full, asked.disk)
            else:
                often = cut_often if asked.power else kill_often
                toll = often(VICTIMS[name], Path(folder), max(1, share), asked.seed)
        sys.stdout.write(f"{name}: {toll} ({time.perf_counter() - start:.0f} s)\n")
        sys.stdout.flush()
        events += toll.kills + toll.cuts
        wrong += len(toll.wrong)
    sys.stdout.write(f"{events} {'power cuts' if asked.power else 'kills'}, {wrong} wrong\n")
    return wrong > 0


if __name__ == "__main__":
    raise SystemExit(main())
