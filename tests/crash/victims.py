"""What is killed: each a piece of work that can be begun again, how to judge what a kill left."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch

from mecli import cache as caches
from mecli import registry
from mecli.errors import MissingDependency
from mecli.extract import ExtractOptions, extract
from mecli.merge import merge_caches
from mecli.models.options import resolve
from mecli.shards import Shard
from mecli.train import TrainOptions, resume, train
from mecli.training import folder as runs
from mecli.training.checkpoint import Checkpoint, load_checkpoint, networks_for, save_checkpoint
from mecli.verify import VerifyOptions, verify
from tests.records import make_record

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = Path(__file__).parents[2] / "sample_data"
OPTIONS = {"steps": 1}
_CLASSES = ("happiness", "disgust", "surprise")


class Victim(Protocol):
    """Work in a folder that may be killed at any moment and is then begun again."""

    def prepare(self, home: Path) -> None:
        """Make what the work reads; `home` itself is never worked in."""

    def begin(self, home: Path, place: Path) -> None:
        """Make `place` ready for a first attempt."""

    def work(self, home: Path, place: Path, acknowledge: Callable[[str], None]) -> None:
        """Do it, or what is left of it; tell what is finished."""

    def judge(self, place: Path, acknowledged: set[str]) -> None:
        """Raise if anything in `place` is unreadable or something acknowledged is lost."""

    def result(self, place: Path) -> dict[str, bytes]:
        """Return what is left in the end, as far as it must not depend on the kills."""


def _whole(path: Path) -> set[str]:
    """Return the clips of a cache and the parts beside it, every byte of them checked."""
    found: set[str] = set()
    for one in [path, *sorted(caches.parts_folder(path).glob("[!.]*.h5"))]:
        try:
            with caches.Reader(one) as cache:
                found |= {cache.check(clip_id).clip_id for clip_id in cache.clip_ids}
        except MissingDependency:
            continue
    return found


class Extract:
    """``mecli extract`` of six clips, in this process or by workers."""

    def __init__(self, jobs: int = 0) -> None:
        self.options = ExtractOptions(jobs=jobs, landmarks="embedded", steps=3)

    def prepare(self, home: Path) -> None:
        """Write a manifest of short pieces of six clips."""
        with (home / "clips.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["path", "subject", "onset", "apex", "offset", "fps"])
            for k, path in enumerate(sorted((SAMPLE / "clips").glob("s0[12]_0[123].mp4"))):
                table.writerow([path, f"p{k % 3}", 0, 2, 5, 100])

    def begin(self, home: Path, place: Path) -> None:
        """Nothing is there yet."""

    def work(self, home: Path, place: Path, acknowledge: Callable[[str], None]) -> None:
        """Extract, acknowledging each clip."""
        extract(
            [str(home / "clips.csv")], place / "c.h5", self.options,
            progress=lambda _, __, clip_id: acknowledge(clip_id),
        )  # fmt: skip

    def judge(self, place: Path, acknowledged: set[str]) -> None:
        """Every acknowledged clip is there, whole."""
        there = _whole(place / "c.h5")
        assert acknowledged <= there, f"lost {sorted(acknowledged - there)}"

    def result(self, place: Path) -> dict[str, bytes]:
        """Return the cache."""
        assert not caches.parts_folder(place / "c.h5").exists() or not caches.waiting_keys(
            place / "c.h5"
        )
        return {"c.h5": (place / "c.h5").read_bytes()}


class ArrayJob(Extract):
    """The same clips by two jobs that know nothing of each other, then ``mecli merge``."""

    def work(self, home: Path, place: Path, acknowledge: Callable[[str], None]) -> None:
        """Extract each shard into a cache of its own and merge both."""
        parts = [place / f"part{number}.h5" for number in (1, 2)]
        for number, part in enumerate(parts, start=1):
            extract(
                [str(home / "clips.csv")], part, replace(self.options, shard=Shard(number, 2)),
                progress=lambda _, __, clip_id: acknowledge(clip_id),
            )  # fmt: skip
        merge_caches(parts, place / "c.h5", force=True)
        acknowledge("merged")

    def judge(self, place: Path, acknowledged: set[str]) -> None:
        """Every acknowledged clip is in a part, and after the merge in the whole."""
        there = _whole(place / "part1.h5") | _whole(place / "part2.h5")
        lost = acknowledged - {"merged"} - there
        assert not lost, f"lost {sorted(lost)}"
        assert "merged" not in acknowledged or _whole(place / "c.h5") == there


class Merge:
    """``mecli merge`` of waiting parts into their cache, and of two caches into a third."""

    def prepare(self, home: Path) -> None:
        """Make a cache with parts beside it, and another cache."""
        for k in range(10):
            record = make_record(f"toy/s{k % 5}/c{k:02}", seed=k, steps=1)
            caches.add(home / "a.h5", record, f"{k:04x}", OPTIONS)
            if k == 4:
                caches.merge(home / "a.h5", OPTIONS)
        for k in range(10, 14):
            record = make_record(f"toy/s9/c{k:02}", seed=k, steps=1)
            caches.add(home / "b.h5", record, f"{k:04x}", OPTIONS)
        caches.merge(home / "b.h5", OPTIONS)

    def begin(self, home: Path, place: Path) -> None:
        """Copy both."""
        shutil.copytree(home, place, dirs_exist_ok=True)

    def work(self, home: Path, place: Path, acknowledge: Callable[[str], None]) -> None:
        """Merge the parts, then both caches."""
        merge_caches([place / "a.h5"])
        acknowledge("a.h5")
        merge_caches([place / "a.h5", place / "b.h5"], place / "c.h5", force=True)
        acknowledge("c.h5")

    def judge(self, place: Path, acknowledged: set[str]) -> None:
        """No clip is lost, neither before nor after a merge."""
        assert len(_whole(place / "a.h5")) == 10
        assert len(_whole(place / "b.h5")) == 4
        for name, count in (("a.h5", 10), ("c.h5", 14)):
            if name in acknowledged:
                with caches.open_cache(place / name) as cache:
                    assert len(cache.clip_ids) == count

    def result(self, place: Path) -> dict[str, bytes]:
        """Return all three caches."""
        return {name: (place / name).read_bytes() for name in ("a.h5", "b.h5", "c.h5")}


class Train:
    """``mecli train`` of four folds and a final checkpoint."""

    def __init__(self, jobs: int = 0) -> None:
        self.jobs = jobs

    def prepare(self, home: Path) -> None:
        """Make a cache of twelve clips of four people."""
        for k in range(12):
            labels = {"emotion": _CLASSES[k // 4]}
            record = make_record(f"toy/s{k % 4}/c{k:02}", seed=k, labels=labels)
            caches.add(home / "c.h5", record, f"{k:04x}", OPTIONS)
        caches.merge(home / "c.h5", OPTIONS)

    def begin(self, home: Path, place: Path) -> None:
        """Nothing is there yet."""

    def work(self, home: Path, place: Path, acknowledge: Callable[[str], None]) -> None:
        """Train, or go on where the last attempt stopped; acknowledge folds by their number."""
        options = TrainOptions(
            caches=(home / "c.h5",), model="ststnet", epochs=1, jobs=self.jobs,
            runs=place / "runs", engine="pool" if self.jobs else "sequential",
        )  # fmt: skip

        def tell(done: int, _: int, __: str) -> None:
            acknowledge(str(done))

        run = place / "run"
        if (run / runs.OPTIONS).exists():
            resume(run, tell)
        else:
            train(options, tell, run)

    def judge(self, place: Path, acknowledged: set[str]) -> None:
        """Every file of the run is whole, and there are as many folds as were acknowledged."""
        run = place / "run"
        folds = len(list(run.glob("folds/*/*.json"))) + (run / runs.FINAL).exists()
        done = max(map(int, acknowledged), default=0)
        assert folds >= done, f"{folds} folds of {done} acknowledged"
        if (run / runs.RUN).exists():
            (found,) = verify([run], VerifyOptions(jobs=0))
            bad = [text for text in found.problems if "is not complete" not in text]
            assert not bad, bad

    def result(self, place: Path) -> dict[str, bytes]:
        """Return the predictions and the digests of all weights."""
        run = place / "run"
        assert runs.read_run(run)["status"] == "complete"
        found = {"predictions": (run / runs.PREDICTIONS).read_bytes()}
        for path in sorted(run.glob("**/*.safetensors")):
            digest = load_checkpoint(path).description["sha256"]
            found[str(path.relative_to(run))] = digest.encode()
        return found


class Write:
    """A checkpoint that is written over and over, as a fold or ``--resume`` does."""

    def prepare(self, home: Path) -> None:
        """Nothing is read."""

    def begin(self, home: Path, place: Path) -> None:
        """Nothing is there yet."""

    def work(self, home: Path, place: Path, acknowledge: Callable[[str], None]) -> None:
        """Write thirty checkpoints to one place, each with its number inside."""
        model = registry.load("model", "ststnet")
        options = resolve(model, {})
        with torch.random.fork_rng():
            networks, _ = networks_for(model.stages(options), (3, 28, 28), 3, torch.float32)
        made = Checkpoint(
            "ststnet", options, _CLASSES, "megc2019", (3, 28, 28), tuple(networks), {}
        )
        for number in range(30):
            save_checkpoint(place / "w.safetensors", replace(made, description={"number": number}))
            acknowledge(str(number))

    def judge(self, place: Path, acknowledged: set[str]) -> None:
        """The checkpoint is the newest that was acknowledged, or a newer one."""
        if acknowledged:
            load_checkpoint(place / "w.safetensors")

    def result(self, place: Path) -> dict[str, bytes]:
        """Return it."""
        return {"w": (place / "w.safetensors").read_bytes()}


VICTIMS: dict[str, Victim] = {
    "extract": Extract(),
    "extract by workers": Extract(jobs=2),
    "array job": ArrayJob(),
    "merge": Merge(),
    "train": Train(),
    "train by workers": Train(jobs=2),
    "checkpoint": Write(),
}
