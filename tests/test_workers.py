from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pebble.pool.process import PoolManager, TaskManager

from mecli.errors import InputError, UnknownName, UsageError
from mecli.workers import cores, is_failure_of_task, run


def square(x: int) -> int:
    if x == 3:
        raise InputError("three is not welcome")
    return x * x


def ask_for_nobody(_: int) -> None:
    raise UnknownName("face", "nobody", ("somebody",))


def die_on_one(x: int) -> int:
    if x == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def process_id(_: int) -> int:
    return os.getpid()


def die_once(flag: str) -> str:
    path = Path(flag)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def sleep_on_two(x: int) -> int:
    if x == 2:
        time.sleep(60)
    return x


def hoard(megabytes: int) -> int:
    return len(bytearray(megabytes << 20))


def thread_limit(_: int) -> str:
    return os.environ["OMP_NUM_THREADS"] + os.environ["MALLOC_TRIM_THRESHOLD_"]


@pytest.mark.parametrize("jobs", [0, 2])
def test_every_task_has_one_outcome_and_errors_are_outcomes(jobs: int) -> None:
    outcomes = {o.index: o for o in run(square, range(6), jobs)}
    assert {i: o.value for i, o in outcomes.items() if i != 3} == {0: 0, 1: 1, 2: 4, 4: 16, 5: 25}
    assert isinstance(outcomes[3].error, InputError)
    assert outcomes[3].reason == "three is not welcome"


def test_an_unknown_name_travels_back_from_a_worker() -> None:
    (outcome,) = run(ask_for_nobody, [0], 1)
    assert isinstance(outcome.error, UnknownName)
    assert outcome.error.known == ("somebody",)
    assert "unknown face 'nobody'; did you mean 'somebody'?" in outcome.reason


def test_a_worker_that_always_dies_fails_only_its_own_task() -> None:
    outcomes = {o.index: o for o in run(die_on_one, range(5), 2)}
    assert [outcomes[i].value for i in (0, 2, 3, 4)] == [0, 2, 3, 4]
    assert "crashed" in outcomes[1].reason


def test_a_worker_that_dies_once_is_replaced_and_its_task_done(tmp_path: Path) -> None:
    (outcome,) = run(die_once, [str(tmp_path / "flag")], 1)
    assert outcome.value == "survived"


@pytest.fixture
def messages_read_late(monkeypatch: pytest.MonkeyPatch) -> None:
    read = PoolManager.process_next_message

    def read_late(self: Any, timeout: float) -> None:
        time.sleep(0.3)
        read(self, timeout)

    monkeypatch.setattr(PoolManager, "process_next_message", read_late)


@pytest.mark.usefixtures("messages_read_late")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_worker_that_dies_before_its_message_is_read_fails_only_its_task(jobs: int) -> None:
    outcomes = {o.index: o for o in run(die_on_one, range(5), jobs)}
    assert [outcomes[i].value for i in (0, 2, 3, 4)] == [0, 2, 3, 4]
    assert outcomes[1].reason == "the worker ended as it took this task"
    assert is_failure_of_task(outcomes[1].error)


@pytest.mark.usefixtures("messages_read_late")
def test_a_pool_that_ends_without_a_word_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # As where a task comes just after all others were told; pebble 5.1 tells them elsewhere.
    monkeypatch.setattr(TaskManager, "tasks_abort", lambda *_: None, raising=False)
    outcomes = {o.index: o for o in run(die_on_one, range(3), 1)}
    assert [outcomes[i].value for i in (0, 2)] == [0, 2]
    assert outcomes[1].reason == "the worker ended as it took this task"


def test_workers_killed_between_two_tasks_are_replaced() -> None:
    outcomes = run(process_id, range(8), 2)
    seen = {}
    for outcome in outcomes:
        assert outcome.value is not None, outcome.reason
        seen[outcome.index] = outcome.value
        if len(seen) in (2, 5):
            for child in multiprocessing.active_children():
                child.kill()
            time.sleep(0.3)
    assert sorted(seen) == list(range(8))
    assert len(set(seen.values())) >= 3


def test_a_hanging_task_is_killed_at_its_time_out() -> None:
    outcomes = {o.index: o for o in run(sleep_on_two, range(4), 2, timeout_s=1.0)}
    assert outcomes[2].reason == "took longer than 1 s"
    assert [outcomes[i].value for i in (0, 1, 3)] == [0, 1, 3]


def test_memory_of_a_worker_can_be_limited() -> None:
    # What the server of the workers has loaded before counts too, hence the wide limit.
    outcomes = {o.index: o for o in run(hoard, [1, 6000], 1, memory_bytes=4 << 30)}
    assert outcomes[0].value == 1 << 20
    assert isinstance(outcomes[1].error, MemoryError)


def test_workers_are_told_to_use_one_thread_and_the_parent_keeps_its_environment() -> None:
    before = dict(os.environ)
    (outcome,) = run(thread_limit, [0], 1)
    assert outcome.value == f"1{1 << 32}"
    assert dict(os.environ) == before


def test_no_tasks_and_negative_jobs() -> None:
    assert list(run(square, [], 2)) == []
    with pytest.raises(UsageError, match="--jobs is -1"):
        list(run(square, [1], -1))
    assert cores() >= 1


def test_leaving_early_stops_the_workers() -> None:
    outcomes = run(sleep_on_two, [2, 0], 2)
    started = time.monotonic()
    assert next(outcomes).value == 0
    outcomes.close()
    assert time.monotonic() - started < 30


UNGUARDED = """
from mecli.errors import UsageError
from mecli.workers import run
try:
    print(list(run(abs, [1, 2], 1)))
except UsageError as error:
    print(error)
"""


def test_a_script_that_its_own_workers_run_anew_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "mine.py")], capture_output=True, text=True, check=True,
        timeout=120, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1].startswith("the worker processes ended before they took")
    assert "below `if __name__ == '__main__':`" in done.stdout


def test_no_module_of_the_working_folder_is_run(tmp_path: Path) -> None:
    here, script = tmp_path / "corpus", tmp_path / "script.py"
    here.mkdir()
    for name in ("signal", "selectors", "struct", "json", "resource"):
        (here / f"{name}.py").write_text("open('escaped', 'w')")
    (here / "old.xls").write_bytes(b"\xd0\xcf" * 99)
    script.write_text(
        """
from pathlib import Path

from mecli import workers
from mecli.corpora.sheets import read_sheets
from mecli.errors import InputError

if __name__ == "__main__":
    print(*(outcome.value for outcome in workers.run(abs, [-3], 1)))
    try:
        read_sheets(Path("old.xls"))
    except InputError as error:
        print(error)
"""
    )
    command = [sys.executable, str(script)]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("3\nold.xls: cannot be read as a workbook"), done.stderr
    assert not (here / "escaped").exists()
