"""The only room that knows about processes: one task after another over a few workers.

A worker runs one thread, ignores Ctrl-C (the parent answers it) and may be limited in
memory. A worker that dies takes only its own task with it, which is tried once more; a
task that outlives its time-out is killed. All other tasks go on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mecli.errors import InputError, NotWritten, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")

# glibc gives tensors over 32 MB back to the system after every use and faults their pages
# in again; these two keep them (measured 5–10 % of a training step).
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
    # What lies in the working folder, say signal.py, would be imported in place of Python's own.
    "PYTHONSAFEPATH": "1",
}
_TRIES = 2
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """What became of task number `index`: its value, or the error and why in words."""

    index: int
    value: R | None
    error: BaseException | None = None
    reason: str = ""


def cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_limits(jobs: int | None, timeout_s: float) -> None:
    """Raise `UsageError` if the options --jobs and --timeout make no sense."""
    if jobs is not None and jobs < 0:
        raise UsageError(f"--jobs is {jobs}, expected 0 (this process) or more")
    if not timeout_s > 0:
        raise UsageError(f"--timeout is {timeout_s:g} s, expected more than 0")


def run(
    function: Callable[[T], R],
    tasks: Sequence[T],
    jobs: int,
    timeout_s: float | None = None,
    memory_bytes: int | None = None,
    preload: str | None = None,
) -> Generator[Outcome[R], None, None]:
    """Yield an `Outcome` per task, in the order in which they end.

    `function` lives at the top of a module; `preload` names a module that all workers
    share from the start. With ``jobs=0`` everything runs in this process, without
    time-out or memory limit. An exception of `function` is an outcome, not an exception
    of this generator. Leaving the generator early stops the workers.
    """
    if jobs < 0:
        raise UsageError(f"--jobs is {jobs}, expected 0 (this process) or more")
    if jobs == 0:
        for index, task in enumerate(tasks):
            yield _run_here(function, index, task)
        return
    yield from _run_pool(function, tasks, min(jobs, len(tasks)), timeout_s, memory_bytes, preload)


def _run_here(function: Callable[[T], R], index: int, task: T) -> Outcome[R]:
    try:
        return Outcome(index, function(task))
    except Exception as error:  # noqa: BLE001 - the caller decides what an error means
        return Outcome(index, None, error, str(error))


def _run_pool(
    function: Callable[[T], R],
    tasks: Sequence[T],
    jobs: int,
    timeout_s: float | None,
    memory_bytes: int | None,
    preload: str | None,
) -> Generator[Outcome[R], None, None]:
    """Yield the outcomes of `jobs` pools of one worker, each of which has one task at a time.

    A pool of several workers reads who took which task from a message; of a worker that dies
    before it is read pebble either waits for the task for ever or gives up every worker's
    (its issues 69 and 153). With one task in hand there is no doubt which one was lost.
    """
    waiting = deque((index, 1) for index in range(len(tasks)))
    flying: dict[Any, tuple[Any, int, int]] = {}
    pools = _Pools(_context(preload), memory_bytes)
    began = False
    try:
        idle = [pools.new() for _ in range(jobs)]
        while waiting or flying:
            while waiting and idle:
                index, attempt = waiting.popleft()
                pool = pools.living(idle.pop())
                future = pool.schedule(function, args=(tasks[index],), timeout=timeout_s)
                flying[future] = pool, index, attempt
            outcomes = []
            for future in _ended(flying):
                pool, index, attempt = flying.pop(future)
                idle.append(pools.living(pool))
                outcome: Outcome[R] = _outcome(index, future, timeout_s)
                began = began or not _was_lost(outcome.error)
                if _died(outcome.error) and attempt < _TRIES:
                    waiting.append((index, attempt + 1))
                else:
                    outcomes.append(outcome)
            if not began:
                _check_main(outcomes)
            yield from outcomes
    finally:
        pools.stop()


class _Pools:
    """The pools of one run, each of one worker that starts with its first task."""

    def __init__(self, context: Any, memory_bytes: int | None) -> None:
        self._context = context
        self._memory_bytes = memory_bytes
        self._all: list[Any] = []

    def new(self) -> Any:
        from pebble import ProcessPool

        pool: Any = ProcessPool(
            max_workers=1,
            context=self._context,
            initializer=_start_worker,
            initargs=(self._memory_bytes,),
        )
        self._all.append(pool)
        return pool

    def living(self, pool: Any) -> Any:
        """Return `pool`, or a new one in its place if its worker is gone."""
        if pool.active:
            return pool
        self._all.remove(pool)
        pool.stop()
        pool.join()
        return self.new()

    def stop(self) -> None:
        for pool in self._all:
            pool.stop()
        for pool in self._all:
            pool.join()


def _ended(flying: dict[Any, tuple[Any, int, int]]) -> list[Any]:
    """Wait until a task has ended, or the pool that has it: such a pool may never say so."""
    while True:
        gone = [future for future, (pool, _, _) in flying.items() if not pool.active]
        done, _ = wait(flying, timeout=0 if gone else _LOOK_S, return_when=FIRST_COMPLETED)
        if done or gone:
            return [future for future in flying if future in done or future in gone]


def _check_main(outcomes: Sequence[Outcome[Any]]) -> None:
    """Raise `UsageError` if no worker lived to take a task: each runs the caller's script anew."""
    for outcome in outcomes:
        if outcome.error is not None and outcome.error.__cause__ is None:
            raise UsageError(
                "the worker processes ended before they took a task; a script of your own "
                "has to call mecli below `if __name__ == '__main__':`, or say jobs=0"
            ) from outcome.error


def is_failure_of_task(error: BaseException | None) -> bool:
    """Whether `error` is the task's own: bad input, crash, time-out, out of memory."""
    if isinstance(error, NotWritten):
        return False
    return _died(error) or isinstance(error, (TimeoutError, MemoryError, InputError))


def _died(error: BaseException | None) -> bool:
    from pebble import ProcessExpired

    return isinstance(error, ProcessExpired) or _was_lost(error)


def _was_lost(error: BaseException | None) -> bool:
    """Whether the worker ended, or could not be started, before it said that it took its task."""
    from concurrent.futures.process import BrokenProcessPool

    if not isinstance(error, BrokenProcessPool):
        return False
    return error.__cause__ is None or isinstance(error.__cause__, (OSError, EOFError))


def _outcome(index: int, future: Any, timeout_s: float | None) -> Outcome[Any]:
    from concurrent.futures.process import BrokenProcessPool

    error: Any = future.exception() if future.done() else BrokenProcessPool()
    if _was_lost(error):
        cause = f" ({error.__cause__})" if str(error.__cause__ or "") else ""
        return Outcome(index, None, error, f"the worker ended as it took this task{cause}")
    if error is None:
        return Outcome(index, future.result())
    if _died(error):
        return Outcome(index, None, error, f"the worker crashed (exit code {error.exitcode})")
    if isinstance(error, TimeoutError) and "Task timeout" in str(error):
        return Outcome(index, None, error, f"took longer than {timeout_s:g} s")
    return Outcome(index, None, error, str(error) or type(error).__name__)


def _context(preload: str | None) -> Any:
    if sys.platform != "linux":
        os.environ["PYTHONSAFEPATH"] = "1"  # each worker starts anew, whenever it is wanted
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    if preload:
        context.set_forkserver_preload([preload])
    # The server copies the environment when it starts; only there can malloc be set.
    with _environment(_ENVIRONMENT):
        forkserver.ensure_running()
    return context


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start_worker(memory_bytes: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(_ENVIRONMENT)
    use_one_thread()
    if memory_bytes is not None and sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def use_one_thread() -> None:
    """Tell the numeric libraries that are loaded to keep to one thread."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    if (cv2 := sys.modules.get("cv2")) is not None:
        cv2.setNumThreads(1)


def peak_memory_bytes(*, of_children: bool = False) -> int:
    """Return the largest resident size this process has had, or the largest of its children."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    who = resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF
    return resource.getrusage(who).ru_maxrss * unit
