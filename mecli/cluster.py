"""The only room that knows about Ray: tasks of `workers`, over the machines of a cluster.

A task writes what it makes into a folder. A worker that sees the caller's folder (a shared
path) writes there; any other writes into a folder of its own, and its files travel back as
bytes. A worker or a whole machine that is lost takes only its own tasks with it, which are
tried once more elsewhere.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import socket
import tempfile
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mecli import __version__, files, workers
from mecli.errors import InputError, MissingDependency, UsageError
from mecli.workers import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")
R = TypeVar("R")

LOCAL = "local"
"""The address of a Ray of this machine alone, which lives as long as the command."""
_CLIENT, _CLIENT_PORT, _HEAD_PORT = "ray://", 10001, 6379
_KNOCK_S = 5.0
_RETRIES = 1
_LEAST_FLYING = 16


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where tasks go: ``auto``, ``local``, ``HOST:PORT`` or ``ray://HOST:PORT``."""

    address: str
    gpus: float = 0.0
    """Share of a GPU that each task holds."""

    def __post_init__(self) -> None:
        if not self.address:
            raise UsageError("--cluster is empty, expected auto, local, HOST:PORT or ray://HOST")
        if not (self.gpus >= 0 and (self.gpus < 1 or self.gpus == int(self.gpus))):
            raise UsageError(f"--gpus is {self.gpus:g}, expected a share below 1 or whole GPUs")


@dataclass(frozen=True, slots=True)
class Guard:
    """How a worker shields itself from its task: in a child with limits, as `workers` does."""

    timeout_s: float
    memory_bytes: int
    preload: str


@dataclass(frozen=True, slots=True)
class _Call:
    """What all tasks of a run have in common."""

    function: Callable[[Path, Any], Any]
    folder: Path
    mark: str
    guard: Guard | None
    version: str = __version__


@dataclass(frozen=True, slots=True)
class _Answer:
    outcome: Outcome[Any]
    files: dict[str, bytes] = field(default_factory=dict)
    """What to write into the caller's folder, in this order."""


def run(
    function: Callable[[Path, T], R],
    tasks: Sequence[T],
    cluster: Cluster,
    folder: Path,
    inputs: Mapping[str, Path] | None = None,
    guard: Guard | None = None,
) -> Generator[Outcome[R], None, None]:
    """Yield an `Outcome` per task, in the order in which they end.

    ``function(folder, task)`` writes into the folder it is given and lives at the top of a
    module; `inputs` are files by their name in `folder` that it reads there. Raises
    `MissingDependency` if Ray or the cluster is not there. Leaving the generator early
    cancels what is under way.
    """
    folder = folder.absolute()
    with _connected(cluster) as ray, _marked(folder) as mark:
        call = ray.put(_Call(function, folder, mark, guard))
        given = {name: ray.put(path.read_bytes()) for name, path in (inputs or {}).items()}
        attempt: Any = ray.remote(_attempt).options(
            num_cpus=1, num_gpus=cluster.gpus, max_retries=_RETRIES
        )
        waiting = deque(range(len(tasks)))
        flying: dict[Any, int] = {}
        try:
            while waiting or flying:
                most = max(_LEAST_FLYING, 2 * int(ray.cluster_resources().get("CPU", 1)))
                while waiting and len(flying) < most:
                    index = waiting.popleft()
                    flying[attempt.remote(call, index, tasks[index], given)] = index
                done, _ = ray.wait(list(flying), num_returns=1)
                for reference in done:
                    yield _received(ray, reference, flying.pop(reference), folder)
        finally:
            for reference in flying:
                ray.cancel(reference, force=True)


def _received(ray: Any, reference: Any, index: int, folder: Path) -> Outcome[Any]:
    """Return the outcome of a task that ended, after writing the files it sent."""
    try:
        answer: _Answer = ray.get(reference)
    except ray.exceptions.RayError as error:
        reason = f"lost twice with its worker on the cluster ({type(error).__name__})"
        return Outcome(index, None, InputError(reason), reason)
    for name, data in answer.files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            reason = f"a worker sent the file name {name}, which leads out of {folder}"
            return Outcome(index, None, InputError(reason), reason)
        files.write_bytes(folder / name, data)
    return answer.outcome


def _attempt(call: _Call, index: int, task: Any, given: Mapping[str, Any]) -> _Answer:
    """Do one task on the machine that Ray chose."""
    if call.version != __version__:
        reason = f"a worker of the cluster has mecli {__version__}, expected {call.version}"
        return _Answer(Outcome(index, None, InputError(reason), reason))
    workers.use_one_thread()
    if (call.folder / call.mark).exists():
        return _Answer(replace(_outcome(call, call.folder, task), index=index))
    import ray

    with tempfile.TemporaryDirectory(prefix="mecli-cluster-") as name:
        folder = Path(name)
        for file, reference in given.items():
            (folder / file).write_bytes(ray.get(reference))
        outcome = replace(_outcome(call, folder, task), index=index)
        return _Answer(outcome, _written(folder, given))


def _outcome(call: _Call, folder: Path, task: Any) -> Outcome[Any]:
    work = functools.partial(call.function, folder)
    guard = call.guard
    if guard is None:
        (outcome,) = workers.run(work, [task], 0)
    else:
        (outcome,) = workers.run(
            work, [task], 1, guard.timeout_s, guard.memory_bytes, guard.preload
        )
    return outcome


def _written(folder: Path, given: Iterable[str]) -> dict[str, bytes]:
    """Return the files in `folder` but those `given`, oldest first: what counts comes last."""
    made = sorted((p.stat().st_mtime_ns, p) for p in folder.rglob("*") if p.is_file())
    named = {path.relative_to(folder).as_posix(): path for _, path in made}
    return {name: path.read_bytes() for name, path in named.items() if name not in set(given)}


@contextlib.contextmanager
def _marked(folder: Path) -> Iterator[str]:
    """Leave a mark in `folder` by which a worker knows that it sees the same one."""
    mark = f".mecli-cluster-{secrets.token_hex(8)}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / mark).touch()
    try:
        yield mark
    finally:
        (folder / mark).unlink(missing_ok=True)


@contextlib.contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Give Ray, connected; leave a connection that was there before as it is."""
    # Ray would tell its makers that it is used, and fetch nothing else by itself.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingDependency(
            "--cluster wants Ray, which is not installed; pip install 'mecli[ray]'"
        ) from error
    if ray.is_initialized():
        yield ray
        return
    told: dict[str, Any] = {"logging_level": "error", "log_to_driver": False}
    if cluster.address == LOCAL:
        told |= {"num_cpus": workers.cores(), "include_dashboard": False}
    try:
        _knock(cluster.address)
        ray.init(cluster.address, **told)
    except (ValueError, RuntimeError, OSError) as error:
        raise MissingDependency(
            f"--cluster {cluster.address}: no Ray cluster answers there; start one with "
            "`ray start --head`, or say --cluster local"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise `OSError` if nobody listens at a host that `address` names; Ray waits for minutes."""
    if address in (LOCAL, "auto"):
        return
    host, _, port = address.removeprefix(_CLIENT).partition(":")
    default = _CLIENT_PORT if address.startswith(_CLIENT) else _HEAD_PORT
    socket.create_connection((host, int(port or default)), timeout=_KNOCK_S).close()
