"""Let every verb that writes find no room, or a closed folder: ``python -m tests.crash.verbs``.

Each must refuse in one line that names the file, leave with 3 and leave nothing behind; with
room and an open folder the same words must end well.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mecli import cache
from tests.crash.drive import DONE, REFUSED
from tests.forked import become
from tests.fuzz.readers import READERS
from tests.records import make_record

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = Path(__file__).parents[2] / "sample_data"
ROOMS = (0, 1 << 10, 1 << 14)
"""Bytes that a file may have."""
_HANGS_S = 300
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2


def words(home: Path) -> dict[str, list[str]]:
    """Write what is read into `home`; return the words of each verb, which write below ``.``."""
    labels = ("happiness", "disgust", "surprise")
    boxes = np.array([[10, 10, 90, 60]] * 6, dtype=np.float32)
    for name, subjects in (("a", (1, 2)), ("b", (3,))):
        for k in range(6):
            told = {"emotion": labels[k // 2]}
            name_of = f"toy/s{subjects[k % len(subjects)]}/c{k}"
            clip = make_record(name_of, seed=k, labels=told, roi_boxes=boxes)
            cache.add(home / f"{name}.h5", clip, f"{name}{k}", {"steps": 1})
        cache.merge(home / f"{name}.h5", {"steps": 1})
    (home / "p.csv").write_bytes(READERS["predictions"].seeds()["p.csv"])
    video = str(SAMPLE / "clips" / "s01_01.mp4")
    (home / "m.csv").write_text(f"path,subject,onset,apex,offset\n{video},p,0,2,5\n")
    a, b, table = str(home / "a.h5"), str(home / "b.h5"), str(home / "p.csv")
    train = ["train", "-c", a, "--model", "ststnet", "--epochs", "1", "-j", "0"]
    predict = ["predict", video, "--checkpoint", "bundled", "-j", "0"]
    return {
        "extract": ["extract", str(home / "m.csv"), "-o", "c.h5", "--steps", "3", "-j", "0"],
        "merge": ["merge", a, b, "-o", "c.h5"],
        "train": [*train, "--engine", "sequential", "--run", "run"],
        "export folders": ["export", a, "out"],
        "export archive": ["export", a, "out", "--format", "flow-archive"],
        "preview page": ["preview", a, "-o", "page.html"],
        "preview picture": ["preview", a, "-o", "sheet.png"],
        "evaluate page": ["evaluate", table, "--report", "page.html", "--resamples", "20"],
        "evaluate figures": ["evaluate", table, "--figures", "figures", "--resamples", "20"],
        "predict overlay": [*predict, "--overlay", "o.mp4"],
        "predict page": [*predict, "--report", "page.html"],
        "predict table": [*predict, "--csv", "t.csv"],
        "predict elan": [*predict, "--eaf", "e.eaf"],
    }


def answer(verb: list[str], folder: Path, before: Callable[[], None]) -> tuple[int, str]:
    """Run ``mecli VERB`` in `folder` after `before`; return exit code and stderr."""
    ours, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        os.dup2(its, 2)
        signal.alarm(_HANGS_S)
        become(verb, before)
    os.close(its)
    with open(ours, errors="replace") as pipe:  # noqa: PTH123 - a pipe has no path
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def no_room(limit: int) -> Callable[[], None]:
    """Return what lets no file of a process be longer than `limit` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def closed() -> None:
    """Close the working folder to this process, root or not."""
    Path().chmod(0o555)
    lose_privileges()


def lose_privileges() -> None:
    """Let this process open and write only what its files' modes allow, root or not."""
    # Version 3 of capset: a header, then effective, permitted, inheritable of two words each.
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    sets[0] &= ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


def wrong(code: int, said: str, left: list[str]) -> str:
    """Return what is wrong with a refusal, empty if nothing."""
    lines = said.splitlines()
    if code != REFUSED:
        return f"exit code {code}: {said[-300:]}"
    named = any(words in said for words in ("cannot be", "no room"))
    if sum(line.startswith("mecli: ") for line in lines) != 1 or not named:
        return f"does not say in one line what cannot be written: {said[-300:]}"
    half = [name for name in left if name.endswith(".tmp")]
    absent = set(re.findall(r"^wrote (\S+)", said, re.MULTILINE)) - set(left)
    return f"leaves {half}, says that it wrote {absent}" if half or absent else ""


def ask(verb: list[str], folder: Path) -> tuple[int, list[str]]:
    """Let one verb meet all that; return how often it refused, and what was wrong."""
    refused, found = 0, []
    for name, before in [*((f"{n} bytes", no_room(n)) for n in ROOMS), ("closed", closed)]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        code, said = answer(verb, folder, before)
        folder.chmod(0o755)
        left = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
        if code == DONE and name.endswith("bytes") and name != "0 bytes":
            continue
        refused += 1
        problem = wrong(code, said, left)
        found += [f"{name}: {problem}"] if problem else []
    if "run" not in verb:  # which has begun
        code, said = answer(verb, folder, lambda: None)
        found += [f"at last: exit code {code}: {said[-300:]}"] if code != DONE else []
    return refused, found


def main(names: list[str]) -> int:
    """Print one line per verb; 1 if one of them answers wrongly."""
    torch.set_num_threads(1)
    refusals = bad = 0
    with tempfile.TemporaryDirectory(prefix="mecli-verbs-") as name:
        home = Path(name) / "home"
        home.mkdir()
        for verb, asked in words(home).items():
            if names and verb not in names:
                continue
            start = time.perf_counter()
            refused, found = ask(asked, Path(name) / "work")
            told = "; ".join(found) or f"{refused} refusals in one line, then done"
            sys.stdout.write(f"{verb}: {told} ({time.perf_counter() - start:.0f} s)\n")
            sys.stdout.flush()
            refusals, bad = refusals + refused, bad + len(found)
    sys.stdout.write(f"{refusals} refusals, {bad} wrong\n")
    return bad > 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
