"""The verb ``audit``: look for leaks in a run, or in caches before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mecli import registry, workers
from mecli.caches import expand_caches, is_cache
from mecli.errors import InputError, MissingDependency, UnknownName, UsageError
from mecli.labels import check_scheme
from mecli.report.audit import Audit, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mecli.leaks.case import Case, Limits

    Check = Callable[[Case, Limits], Finding]

CHECKS = (
    "persons", "clips", "predictions", "selection", "extraction", "duplicates",
    "metadata", "still", "features", "refit", "constant", "permuted",
)  # fmt: skip
_RUN = "run.json"


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What ``mecli audit`` looks for; labels and protocol are for caches, a run has its own."""

    checks: tuple[str, ...] = ()
    labels: str = "megc2019"
    protocol: str = "loso"
    model: str | None = None
    refit: int = 1
    permutations: int = 5
    seed: int = 0
    jobs: int | None = None

    def __post_init__(self) -> None:
        for name in self.checks:
            if name not in CHECKS:
                raise UnknownName("check", name, CHECKS)
        check_scheme(self.labels)
        if self.model is not None:
            registry.check_name("model", self.model)
        for name, least in (("refit", 0), ("permutations", 1), ("seed", 0), ("jobs", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"--{name} is {value}, expected {least} or more")


def audit(
    named: Sequence[str],
    options: AuditOptions | None = None,
    *,
    stdin: TextIO | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Audit:
    """Check one run folder, or caches together; `InputError` for what is neither.

    A check that cannot be made is a finding too, with the reason.
    """
    from mecli.leaks.case import Limits, open_case, persons_of
    from mecli.training.options import TrainOptions

    options = options or AuditOptions()
    is_run = any((Path(name) / _RUN).is_file() for name in named)
    if is_run and len(named) > 1:
        raise UsageError(f"{len(named)} things to audit, expected one run, or caches only")
    caches = [] if is_run else expand_caches(named, stdin)
    for path in caches:
        if not is_cache(path):
            raise InputError(f"{path}: is neither a cache nor a run folder (no {_RUN} inside)")
    defaults = TrainOptions(labels=options.labels, protocol=options.protocol)
    case = open_case(named[0], caches, defaults)
    chosen = [name for name in CHECKS if name in (options.checks or CHECKS)]
    done, total = 0, _steps(chosen, options, len(case.folds))

    def step(message: str) -> None:
        nonlocal done
        done = min(done + 1, total)
        if progress is not None:
            progress(done, total, message)

    jobs = workers.cores() if options.jobs is None else options.jobs
    limits = Limits(options.model, options.refit, options.permutations, options.seed, jobs, step)
    findings = tuple(_find(name, case, limits) for name in chosen)
    persons = len(set(persons_of(case.clip_ids).values()))
    return Audit(
        case.source,
        "run" if is_run else "cache",
        len(case.clip_ids),
        persons,
        len(case.folds),
        findings,
    )


def _steps(checks: Sequence[str], options: AuditOptions, folds: int) -> int:
    """Return how often a whole audit tells that it got on."""
    each = {
        "refit": 2 * min(options.refit, folds),
        "constant": folds,
        "permuted": folds * (options.permutations + 1),
        "duplicates": 1, "metadata": 1, "still": 1, "features": 1,
    }  # fmt: skip
    return sum(each.get(name, 0) for name in checks)


def _find(name: str, case: Case, limits: Limits) -> Finding:
    """Make one check; what it cannot read is why it was not made."""
    try:
        return _check(name)(case, limits)
    except (InputError, MissingDependency) as error:
        return Finding(name, "not checked", str(error))


def _check(name: str) -> Check:
    from mecli.leaks import constant, duplicates, folds, guess, retrain

    rooms = (folds, duplicates, guess, retrain, constant)
    checks: dict[str, Check] = {
        key.removeprefix("check_"): value
        for room in rooms
        for key, value in vars(room).items()
        if key.startswith("check_")
    }
    return checks[name]
