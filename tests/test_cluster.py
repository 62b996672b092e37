"""The cluster is a real Ray of this machine with two workers; `slow` because it has to start."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mecli import __version__, cluster
from mecli.cache import open_cache
from mecli.cluster import Cluster, Guard
from mecli.errors import InputError, MissingDependency, UsageError
from mecli.extract import ExtractOptions, extract
from mecli.train import TrainOptions, train
from mecli.training import engines, folder, plan
from tests.moving_records import records, write_cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

HERE = Cluster("local")


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nowhere", "a:b"])
def test_a_cluster_that_is_not_there_is_said(tmp_path: Path, address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(MissingDependency, match="no Ray cluster answers there"):
        list(cluster.run(square, range(1), Cluster(address), tmp_path))


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="the extra mecli[ray] is not installed")
    # Ray keeps sockets and files of its own open until the process ends.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield ray
        ray.shutdown()


def square(folder: Path, x: int) -> int:
    if x == 3:
        raise InputError("three is not welcome")
    (folder / "made").mkdir(exist_ok=True)
    (folder / "made" / f"{x}.txt").write_text(str(x * x))
    return x * x


def die_once(folder: Path, x: int) -> str:
    flag = folder / f"died-{x}"
    if x == 1 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def die(folder: Path, x: int) -> int:
    if x == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def sleep(folder: Path, x: int) -> int:
    time.sleep(60 if x == 1 else 0)
    return x


def copy_input(folder: Path, x: int) -> None:
    (folder / f"{x}.out").write_bytes((folder / "given.bin").read_bytes() * x)


def climb(folder: Path, x: int) -> None:
    (folder / "ok.txt").write_text("")


@pytest.mark.slow
class TestTasks:
    def test_every_task_has_one_outcome_and_writes_where_it_is_told(
        self, ray: Any, tmp_path: Path
    ) -> None:
        outcomes = {o.index: o for o in cluster.run(square, range(6), HERE, tmp_path)}
        values = {i: o.value for i, o in outcomes.items() if i != 3}
        assert values == {0: 0, 1: 1, 2: 4, 4: 16, 5: 25}
        assert outcomes[3].reason == "three is not welcome"
        assert isinstance(outcomes[3].error, InputError)
        written = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*"))
        assert written == ["made", *(f"made/{x}.txt" for x in (0, 1, 2, 4, 5))]

    def test_a_lost_worker_is_replaced_and_its_task_done_again(
        self, ray: Any, tmp_path: Path
    ) -> None:
        outcomes = list(cluster.run(die_once, range(4), HERE, tmp_path))
        assert [o.value for o in outcomes] == ["survived"] * 4
        assert (tmp_path / "died-1").exists()

    def test_a_task_that_kills_every_worker_fails_alone(self, ray: Any, tmp_path: Path) -> None:
        outcomes = {o.index: o for o in cluster.run(die, range(3), HERE, tmp_path)}
        assert (outcomes[0].value, outcomes[2].value) == (0, 2)
        assert outcomes[1].reason.startswith("lost twice with its worker on the cluster")

    def test_a_guarded_task_is_stopped_or_dies_without_its_worker(
        self, ray: Any, tmp_path: Path
    ) -> None:
        guard = Guard(3.0, 1 << 30, "mecli.cluster")
        late = {o.index: o for o in cluster.run(sleep, range(2), HERE, tmp_path, guard=guard)}
        assert (late[0].value, late[1].reason) == (0, "took longer than 3 s")
        dead = {o.index: o for o in cluster.run(die, range(2), HERE, tmp_path, guard=guard)}
        assert (dead[0].value, dead[1].reason) == (0, "the worker crashed (exit code -9)")


def attempt(
    function: Any, index: int, task: Any, given: dict[str, Any], version: str = __version__
) -> Any:
    """Do a task as a machine would that does not see the caller's folder."""
    call = cluster._Call(function, Path("/of/another/machine"), ".mark", None, version)
    return cluster._attempt(call, index, task, given)


@pytest.mark.slow
class TestNoSharedPath:
    def test_what_a_task_wrote_comes_back_and_inputs_do_not(self, ray: Any) -> None:
        answer = attempt(copy_input, 7, 2, {"given.bin": ray.put(b"abc")})
        assert (answer.outcome.index, answer.outcome.error) == (7, None)
        assert answer.files == {"2.out": b"abcabc"}

    def test_files_that_come_back_are_written(self, ray: Any, tmp_path: Path) -> None:
        answer = attempt(square, 0, 5, {})
        outcome = cluster._received(ray, ray.put(answer), 0, tmp_path)
        assert outcome.value == 25
        assert (tmp_path / "made" / "5.txt").read_text() == "25"

    @pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt"])
    def test_a_name_that_leads_out_is_refused(self, ray: Any, tmp_path: Path, name: str) -> None:
        answer = cluster._Answer(attempt(climb, 0, 0, {}).outcome, {name: b"evil"})
        outcome = cluster._received(ray, ray.put(answer), 4, tmp_path)
        assert isinstance(outcome.error, InputError)
        assert name in outcome.reason
        assert list(tmp_path.rglob("*")) == []

    def test_a_worker_of_another_version_says_so(self, ray: Any) -> None:
        answer = attempt(square, 3, 1, {}, version="99.0")
        assert answer.outcome.index == 3
        assert answer.outcome.reason.endswith("expected 99.0")


@pytest.mark.slow
def test_a_cluster_extracts_the_same_cache(ray: Any, sample: Path, tmp_path: Path) -> None:
    clips = [str(sample / "clips" / f"s01_0{k}.mp4") for k in (1, 2)]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    (tmp_path / "there").mkdir()
    sources = [*clips, str(broken)]
    here = extract(sources, tmp_path / "here.h5", ExtractOptions(jobs=0))
    there = extract(sources, tmp_path / "there" / "there.h5", ExtractOptions(cluster=HERE))
    assert (there.extracted, there.failures) == (here.extracted, here.failures)
    assert here.extracted == 2
    with open_cache(here.cache) as one, open_cache(there.cache) as two:
        assert one.fingerprint() == two.fingerprint()


def test_shards_of_an_extraction_are_merged_into_the_whole(sample: Path, tmp_path: Path) -> None:
    from mecli.merge import merge_caches
    from mecli.shards import Shard

    clips = [str(sample / "clips" / f"s01_0{k}.mp4") for k in (1, 2, 3)]
    run = functools.partial(extract, clips)
    run(tmp_path / "all.h5", ExtractOptions(jobs=0))
    parts = [tmp_path / f"part{k}.h5" for k in (1, 2)]
    for number, part in enumerate(parts, start=1):
        run(part, ExtractOptions(jobs=0, shard=Shard(number, 2)))
    merged = merge_caches(parts, tmp_path / "merged.h5")
    assert merged.path.read_bytes() == (tmp_path / "all.h5").read_bytes()


@pytest.mark.parametrize("gpus", [-1.0, 1.5, float("nan")])
def test_a_share_of_a_gpu_is_below_one_or_whole(gpus: float) -> None:
    with pytest.raises(UsageError, match="--gpus is"):
        Cluster("local", gpus)


def test_an_empty_address_is_refused() -> None:
    with pytest.raises(UsageError, match="--cluster is empty"):
        Cluster("")


def worker_processes() -> list[int]:
    """Return the processes in which Ray of this machine runs tasks."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            # Its agents are called ray:: too; without them the whole node is lost.
            if entry.read_bytes().startswith((b"ray::IDLE", b"ray::_attempt")):
                found.append(int(entry.parent.name))
    return found


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_trains_the_same_run(ray: Any, tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "c.h5", records())
    options = TrainOptions(
        caches=(cache,), model_options={"steps": 2}, epochs=2, jobs=0, runs=tmp_path / "runs"
    )
    here = train(options)
    killed: list[int] = []

    def kill_one(done: int, *_: object) -> None:
        if done == 1:
            killed.append(worker_processes()[0])
            os.kill(killed[0], signal.SIGKILL)

    there = train(replace(options, cluster="local"), kill_one)
    assert killed
    assert there.predictions is not None
    assert here.predictions is not None
    assert there.predictions.read_text() == here.predictions.read_text()
    for number in range(4):
        mine, theirs = (folder.read_fold(r.run, 0, number) for r in (here, there))
        assert mine is not None
        assert theirs is not None
        assert mine.weights_sha256 == theirs.weights_sha256
    assert not list(there.run.glob(".mecli-cluster-*"))


@pytest.mark.slow
def test_a_machine_without_the_run_sends_back_the_fold(ray: Any, tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "c.h5", records())
    made = plan.make(TrainOptions(caches=(cache,), model_options={"steps": 2}, epochs=1))
    run = tmp_path / "run"
    folder.write_features(run, len(made.data.clips), made.features())
    given = {"features.npy": ray.put((run / "features.npy").read_bytes())}
    work = functools.partial(engines._run_in, made.job(run))
    answer = attempt(work, 0, made.tasks()[2], given)
    assert answer.outcome.error is None
    assert list(answer.files) == ["folds/0/2.safetensors", "folds/0/2.json"]
    cluster._received(ray, ray.put(answer), 0, run)
    received = folder.read_fold(run, 0, 2)
    assert received is not None
    assert received.fold == "made/s2"
