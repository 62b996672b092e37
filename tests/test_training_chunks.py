"""Folds are stacked in chunks that the memory holds."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from mecli.errors import InputError
from mecli.train import TrainOptions
from mecli.training import chunks, folder, plan
from tests.moving_records import records, write_cache

if TYPE_CHECKING:
    from mecli.models.contract import Network
    from mecli.training.job import FoldTask, Job


def started(path: Path, model: str, subjects: int, **changes: Any) -> tuple[Job, list[FoldTask]]:
    """Return the job of a new run of `subjects` folds, its features in place, and its tasks."""
    cache = write_cache(path / "c.h5", records(subjects, 2))
    options = TrainOptions(
        caches=(cache,), model=model, epochs=1, keep_weights=False, runs=path / "runs", **changes
    )
    made = plan.make(options)
    run = folder.new(options.runs, model, "loso")
    folder.write_features(run, len(made.data.clips), made.features())
    return made.job(run), made.tasks()


def test_the_first_chunk_is_what_the_weights_leave_room_for(tmp_path: Path) -> None:
    job, _ = started(tmp_path, "off-apexnet", 3)
    table = job.table()
    in_gib = [chunks.first_chunk(job, table, gib << 30) for gib in (1, 2, 4)]
    assert in_gib[0] > 1
    assert in_gib[2] == pytest.approx(2 * in_gib[1], abs=1)
    assert in_gib[1] == pytest.approx(2 * in_gib[0], abs=1)
    assert chunks.first_chunk(job, table, 1) == 1


def test_a_budget_for_one_fold_trains_them_one_by_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job, tasks = started(tmp_path, "ststnet", 3, seeds=2)
    assert list(chunks.run_stacked(job, tasks, memory_bytes=1)) == tasks
    assert caplog.text == ""
    assert all(folder.read_fold(job.run, t.seed, t.number) for t in tasks)


def test_weights_that_the_disk_cannot_hold_are_refused_first(tmp_path: Path) -> None:
    job, tasks = started(tmp_path, "off-apexnet", 3)
    written = sum(p.numel() * 4 for p in off_apexnet(job).parameters())
    assert job.stage_bytes(job.table()) == [written]
    job.check_space(tasks * 10**6)  # none of them keeps its weights
    keeping = replace(job, keep_weights=True)
    keeping.check_space(tasks)
    with pytest.raises(InputError, match=r"weights of 3000000 trainings take .* GiB are free"):
        keeping.check_space(tasks * 10**6)


def off_apexnet(job: Job) -> Network:
    (stage,) = job.stages
    return stage.build(tuple(job.table().features.shape[1:]), 3)


def test_the_memory_of_this_machine_is_known() -> None:
    free = chunks.free_bytes("cpu")
    assert free is None or free > 1 << 20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's limits")
def test_memory_that_runs_out_makes_the_chunks_smaller_and_is_said(tmp_path: Path) -> None:
    # The limit is the operating system's, and the error that of torch's own allocator.
    script = """
import resource, sys
from pathlib import Path
from tests.test_training_chunks import started
from mecli.errors import InputError
from mecli.training import chunks

def leave(mebibytes):
    lines = Path("/proc/self/status").read_text().splitlines()
    used = 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmData")))
    limit = used + (mebibytes << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))

job, tasks = started(Path(sys.argv[1]), "off-apexnet", 6)
done = list(chunks.run_stacked(job, tasks[:1], 1 << 50))
leave(240)
done += chunks.run_stacked(job, tasks[1:], 1 << 50)
print([task.name for task in done])
leave(8)
try:
    list(chunks.run_stacked(job, tasks, 1 << 50))
except InputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        # What is freed goes back at once, so that the limit bites again.
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str([f"made/s{k}" for k in range(6)])
    assert "5 folds at once need more memory than this machine has; going on with 2" in done.stderr
    assert "a single fold needs more memory than this machine has" in done.stdout


def test_another_error_of_torch_is_no_lack_of_memory(tmp_path: Path) -> None:
    job, tasks = started(tmp_path, "ststnet", 3)
    (job.run / "features.npy").unlink()
    with pytest.raises(InputError, match="is gone"):
        list(chunks.run_stacked(job, tasks))
    assert not chunks.is_out_of_memory(RuntimeError("shapes do not match"))
    assert chunks.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert chunks.is_out_of_memory(MemoryError())
    with pytest.raises(InputError, match="use a smaller model or batch, or --engine sequential"):
        chunks.smaller(job, 1, "cpu")
