"""Give mecli all hostile files there are: ``python -m tests.hostile``.

Each command has 10 s of processor time and 1.5 GiB; it must answer with one line that names
what is wrong, leave with 3 or 4, and leave nothing else behind.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

import cv2  # loaded once: every command is a fork of this process
import torch

from mecli import extract, predict, verify
from tests.forked import become
from tests.hostile import clips
from tests.hostile.cases import cases

LIMIT_S = 10
MEMORY = 3 << 29
_HANGS_S = 120
_LOADED = (cv2, torch, extract, predict, verify)


def answer(words: list[str], folder: Path, hangs_s: int = _HANGS_S) -> tuple[int, str, str, int]:
    """Run ``mecli WORDS`` in `folder`; return exit code, stdout, stderr and peak bytes."""
    out, err = folder / ".out", folder / ".err"
    pid = os.fork()
    if pid == 0:
        os.chdir(folder)
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open("/dev/zero", os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S + 1))
        signal.alarm(hangs_s)
        become(words)
    _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code, out.read_text(), err.read_text(errors="replace"), used.ru_maxrss * 1024


def wrong(code: int, said: str, peak: int, word: str) -> str:
    """Return what is wrong with an answer, empty if nothing."""
    lines = said.splitlines()
    if code not in {3, 4}:
        return f"exit code {code}: {said[-300:]}"
    if len(lines) != 1 or not lines[0].startswith("mecli: ") or "Traceback" in said:
        return f"is not one line: {said[-300:]}"
    if word not in said:
        return f"says '{said.strip()[:300]}', expected '{word}'"
    if peak > MEMORY:
        return f"takes {peak >> 20} MiB"
    return ""


def ask_each(folder: Path) -> dict[str, str]:
    """Give every case to its command; return what is wrong with each answer."""
    found = {}
    work = folder / "work"
    work.mkdir()
    for name, (words, word) in cases(folder):
        start = time.perf_counter()
        code, _, said, peak = answer(words, work)
        found[name] = wrong(code, said, peak, word)
        told = found[name] or said.strip().replace(str(folder), "")[:110]
        spent = f"{time.perf_counter() - start:.1f} s, {peak >> 20} MiB"
        sys.stdout.write(f"{'WRONG' if found[name] else 'ok'} {name} ({spent}): {told}\n")
    left = [p.name for p in work.iterdir() if p.name not in {".out", ".err"}]
    if left:
        found["left behind"] = ", ".join(left)
    return found


def ask_clips(folder: Path) -> dict[str, str]:
    """Extract all hostile clips at once; each must fail alone, with its reason."""
    folder.mkdir()
    words = clips.make(folder)
    command = ["extract", "clips.csv", "-o", "c.h5", "--landmarks", "embedded", "-j", "1"]
    # By the clock, which a busy machine stretches; of processor time a worker has no more either.
    command += ["--timeout", str(_HANGS_S), "--json"]
    code, out, said, peak = answer(command, folder, _HANGS_S * len(words))
    told = {
        r["clip"].split("/")[2]: r["reason"] for r in json.loads(out or '{"failed": []}')["failed"]
    }
    found = {
        "all clips": ""
        if code == 3 and peak < MEMORY
        else f"exit code {code}, {peak >> 20} MiB: {said}"
    }
    for name, word in words.items():
        reason = told.get(name, "did not fail")
        known = word in reason and "\n" not in reason and "crashed" not in reason
        found[f"clips: {name}"] = "" if known else f"says '{reason}', expected '{word}'"
        sys.stdout.write(f"{'ok' if known else 'WRONG'} clips: {name}: {reason[:110]}\n")
    return found


def main() -> int:
    """Print every answer; 1 if one of them is wrong."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="mecli-hostile-") as name:
        found = {**ask_each(Path(name)), **ask_clips(Path(name) / "clips")}
    bad = {what: why for what, why in found.items() if why}
    for what, why in bad.items():
        sys.stdout.write(f"WRONG {what}: {why}\n")
    sys.stdout.write(f"{len(found)} hostile files, {len(bad)} answered wrongly\n")
    return bool(bad)


if __name__ == "__main__":
    raise SystemExit(main())
