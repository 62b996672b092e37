"""The verb ``predict``: a clip in; what moved, where, when and how sure out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mecli import workers
from mecli.corpora.loose import SUBJECT_UNKNOWN
from mecli.corpora.sources import expand, read_sources
from mecli.errors import InputError, MissingDependency
from mecli.landmarks.choose import choose, resolve
from mecli.preprocess import preprocess
from mecli.recipe import Recipe
from mecli.report.answers import Answer
from mecli.training.checkpoint import load_checkpoint, roi_contributions, scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mecli.clips import Clip
    from mecli.records import ClipRecord
    from mecli.training.checkpoint import Checkpoint

CHECKPOINT = "final.safetensors"
_WORKER_MEMORY = 6 << 30


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """What ``mecli predict`` can be told; the defaults are the command line's."""

    checkpoint: Path | None = None
    runs: Path = Path("runs")
    corpus: str | None = None
    landmarks: str | None = None
    jobs: int | None = None
    timeout_s: float = 300.0

    def __post_init__(self) -> None:
        workers.check_limits(self.jobs, self.timeout_s)


@dataclass(frozen=True, slots=True)
class _Task:
    clip: Clip
    checkpoint: Path
    recipe: Recipe


def newest_checkpoint(runs: Path) -> Path:
    """Return the checkpoint of the newest run below `runs` that has one."""
    found = sorted(runs.glob(f"*/{CHECKPOINT}"), key=lambda p: (p.parent.name[:15], p.parent.name))
    if not found:
        raise MissingDependency(
            f"no run with a checkpoint in {runs}/; run `mecli train` first, "
            "or name one with --checkpoint FILE"
        )
    return found[-1]


def recipe_of(checkpoint: Checkpoint, landmarks: str | None) -> Recipe:
    """Return how clips have to be extracted for `checkpoint`: as those it was trained on.

    `landmarks` overrides the back end they were extracted with.
    """
    try:
        recipe = Recipe.from_options(checkpoint.description["caches"][0]["options"])
    except (KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"the checkpoint of model '{checkpoint.model}' does not say how its clips were "
            "extracted; train it again"
        ) from error
    return recipe if landmarks is None else replace(recipe, landmarks=resolve(landmarks))


def predict(
    sources: Sequence[str],
    options: PredictOptions | None = None,
    *,
    stdin: TextIO | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Answer]:
    """Return an answer per clip of `sources`, in their order.

    A clip that fails has its reason in `Answer.error`; the others go on. Raises
    `MissingDependency` without a checkpoint, `InputError` if the only source is unusable.
    """
    options = options or PredictOptions()
    path = options.checkpoint or newest_checkpoint(options.runs)
    recipe = recipe_of(load_checkpoint(path), options.landmarks)
    answers: list[Answer | None] = []
    tasks: dict[int, _Task] = {}
    for clip_or_answer in _clips(sources, options.corpus, stdin):
        if isinstance(clip_or_answer, Answer):
            answers.append(clip_or_answer)
        else:
            tasks[len(answers)] = _Task(clip_or_answer, path, recipe)
            answers.append(None)
    places = list(tasks)
    for done, outcome in enumerate(_outcomes(list(tasks.values()), options), start=1):
        task = tasks[places[outcome.index]]
        answers[places[outcome.index]] = _answer(task, outcome)
        if progress is not None:
            progress(done, len(tasks), task.clip.clip_id)
    return [answer for answer in answers if answer is not None]


def _clips(
    sources: Sequence[str], corpus: str | None, stdin: TextIO | None
) -> Iterator[Clip | Answer]:
    """Yield the clips of each source in turn; a bad source is an answer that says why."""
    named = list(expand(sources, stdin))
    for source in named:
        try:
            yield from read_sources([source], corpus)
        except InputError as error:
            if len(named) == 1:
                raise
            yield Answer(str(source), str(source), error=str(error))


def _outcomes(tasks: list[_Task], options: PredictOptions) -> Iterator[workers.Outcome[Answer]]:
    jobs = workers.cores() if options.jobs is None else options.jobs
    if options.jobs is None and len(tasks) == 1:
        jobs = 0
    return workers.run(answer_one, tasks, jobs, options.timeout_s, _WORKER_MEMORY, "mecli.predict")


def _answer(task: _Task, outcome: workers.Outcome[Answer]) -> Answer:
    if outcome.value is not None:
        return outcome.value
    if not workers.is_failure_of_task(outcome.error) and outcome.error is not None:
        raise outcome.error
    return Answer(task.clip.clip_id, task.clip.location, error=outcome.reason)


def answer_one(task: _Task) -> Answer:
    """Extract one clip and ask the checkpoint about it; runs in a worker."""
    clip = task.clip
    try:
        record = preprocess(clip, task.recipe, choose(task.recipe.landmarks))
    except InputError as error:
        return Answer(clip.clip_id, clip.location, error=str(error), issues=clip.issues)
    return _ask(_checkpoint(task.checkpoint), record)


def _ask(checkpoint: Checkpoint, record: ClipRecord) -> Answer:
    shares = scores(checkpoint, [record])[0]
    named = {name: round(float(p), 6) for name, p in zip(checkpoint.classes, shares, strict=True)}
    estimated = {
        "onset": record.onset_estimated,
        "apex": record.apex_estimated,
        "offset": record.offset_estimated,
    }
    return Answer(
        clip=record.clip_id,
        source=record.source,
        prediction=max(named, key=lambda name: named[name]),
        scores=named,
        onset=record.onset,
        apex=record.apex,
        offset=record.offset,
        found=tuple(name for name, guessed in estimated.items() if guessed),
        fps=None if record.fps is None else round(record.fps, 4),
        rois={n: round(v, 6) for n, v in roi_contributions(checkpoint, record).items()},
        quality={name: round(value, 6) for name, value in record.quality.items()},
        landmarker=record.landmarker,
        # Who is shown matters for training only.
        issues=tuple(i for i in record.issues if not i.startswith(SUBJECT_UNKNOWN)),
    )


@lru_cache(maxsize=2)
def _checkpoint(path: Path) -> Checkpoint:
    return load_checkpoint(path)
