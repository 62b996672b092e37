"""Read damaged files one after another in a process that may die, and tell what became of each."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mecli.errors import MecliError

if TYPE_CHECKING:
    from tests.fuzz.readers import Reader

LIMIT_S = 10.0
MEMORY = 3 << 29
"""Of data that one process may take beyond what it begins with: 1.5 GiB."""
_RECORD = 512
_LINE = "the message has several lines"


@dataclass(slots=True)
class Findings:
    """What became of the damaged files, and each of those that it should not have."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return one line."""
        told = ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items()))
        return f"{told}; {len(self.wrong)} wrong"


def drive(reader: Reader, n: int, seed: int = 0, keep: Path | None = None) -> Findings:
    """Read `n` damaged files; those that end wrongly are kept in `keep`, named by number."""
    findings = Findings()
    seeds = reader.seeds()
    with tempfile.TemporaryDirectory(prefix="mecli-fuzz-") as name:
        folder = Path(name)
        for file, data in seeds.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(data)
        done = 0
        while done < n:
            done = _stretch(reader, seeds, folder, range(done, n), seed, findings)
    for number in findings.wrong if keep is not None else ():
        file, data = damaged(reader, seeds, number, seed)
        keep.mkdir(parents=True, exist_ok=True)  # type: ignore[union-attr]
        (keep / f"{number}-{Path(file).name}").write_bytes(data)  # type: ignore[operator]
    return findings


def damaged(
    reader: Reader, seeds: dict[str, bytes], number: int, seed: int = 0
) -> tuple[str, bytes]:
    """Return the name and the bytes of damaged file `number`."""
    rng = Random(f"{seed} {number}")
    file = rng.choice([name for name in seeds if name not in reader.kept])
    return file, reader.mutate(seeds[file], rng, list(seeds.values()))


def _stretch(
    reader: Reader,
    seeds: dict[str, bytes],
    folder: Path,
    numbers: range,
    seed: int,
    findings: Findings,
) -> int:
    """Let one process read as many as it survives; return the number to go on with."""
    ours, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(reader, seeds, folder, numbers, seed, its)
    os.close(its)
    try:
        for number in numbers:
            ready, _, _ = select.select([ours], [], [], LIMIT_S * reader.patience)
            text = os.read(ours, _RECORD).decode(errors="replace").strip() if ready else "hangs"
            if ready and text:
                outcome, _, wrong = text.partition("|")
                findings.counts[outcome] += 1
                if wrong:
                    findings.wrong[number] = wrong
                continue
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            pid = 0
            what = text or f"dies of signal {os.WTERMSIG(status)}"
            findings.counts[what] += 1
            if not (reader.guarded and text == ""):
                findings.wrong[number] = what
            return number + 1
        return numbers.stop
    finally:
        os.close(ours)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _child(
    reader: Reader, seeds: dict[str, bytes], folder: Path, numbers: range, seed: int, pipe: int
) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    limit = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    watch = Watch(folder)
    for number in numbers:
        file, data = damaged(reader, seeds, number, seed)
        (folder / file).write_bytes(data)
        watch.seen.clear()
        outcome = _read(reader, folder, file)
        if watch.seen:
            outcome += "|" + "; ".join(watch.seen)
        (folder / file).write_bytes(seeds[file])
        os.write(pipe, outcome.encode(errors="replace")[:_RECORD].ljust(_RECORD))
    signal.pause()


def _read(reader: Reader, folder: Path, file: str) -> str:
    try:
        reader.read(folder, file)
    except MecliError as error:
        return "refused" if "\n" not in str(error) else f"refused|{_LINE}: {str(error)[:200]!r}"
    except BaseException as error:  # noqa: BLE001 - whatever else escapes is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {str(error)[:150]} at {where.filename}:{where.lineno}"
        return "raises|" + said.replace("\n", "⏎")
    return "read"


class Watch:
    """Hears of everything that reading a file must not do: run code, write elsewhere, connect."""

    _RUNS = (
        "os.system", "os.exec", "os.posix_spawn", "os.fork", "pickle.find_class", "socket.connect",
        "shutil.rmtree", "os.symlink",
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        self.seen: list[str] = []
        self._folder = str(folder.resolve())
        sys.addaudithook(self._hear)

    def _hear(self, event: str, details: tuple[Any, ...]) -> None:
        if event in self._RUNS:
            self.seen.append(f"{event} {str(details)[:80]}")
        elif event == "subprocess.Popen" and details[0] != sys.executable:
            self.seen.append(f"starts {details[0]}")
        elif event == "open" and isinstance(details[0], str):
            writes = details[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and not str(Path(details[0]).resolve()).startswith((self._folder, "/dev/")):
                self.seen.append(f"writes {details[0]}")
