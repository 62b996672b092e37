"""The verb ``predict``: clips in; what moved, where, when and how sure out, in their order."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mecli import checkpoints, files, workers
from mecli.corpora.sources import expand, read_sources
from mecli.errors import InputError
from mecli.outputs import check_free, outputs
from mecli.question import Question
from mecli.report.answers import Answer
from mecli.underway import Underway, note_share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mecli.clips import Clip
    from mecli.judging import Judge
    from mecli.underway import Progress

_WORKER_MEMORY = 6 << 30


@dataclass(frozen=True, slots=True)
class PredictOptions(Question):
    """What ``mecli predict`` can be told; the defaults are the command line's."""

    checkpoint: Path | None = None
    runs: Path = Path("runs")
    corpus: str | None = None
    overlay: Path | None = None
    """A video for one clip, a folder for several."""
    eaf: Path | None = None
    """An ELAN document for one clip, a folder for several."""
    report: Path | None = None
    jobs: int | None = None
    timeout_s: float = 7200.0

    def __post_init__(self) -> None:
        # Zero-argument super() does not know the class that slots make anew.
        Question.__post_init__(self)
        workers.check_limits(self.jobs, self.timeout_s)


@dataclass(frozen=True, slots=True)
class _Task:
    place: int
    clip: Clip
    checkpoint: Path
    options: PredictOptions
    film: Path | None
    fragments: Path | None
    note: Path | None = None


def predict(
    sources: Sequence[str],
    options: PredictOptions | None = None,
    *,
    stdin: TextIO | None = None,
    progress: Progress | None = None,
) -> Iterator[Answer]:
    """Yield the answers about the clips of `sources`, in their order, each as soon as it can be.

    A clip that fails has its reason in `Answer.error`; the others go on. Raises
    `MissingDependency` without a checkpoint, `InputError` if the checkpoint or the only
    source is unusable.
    """
    options = options or PredictOptions()
    path, maps = (
        checkpoints.choose(options.checkpoint, options.runs, maps=maps) for maps in (False, True)
    )
    found = list(_clips(sources, options.corpus, stdin))
    clips = {k: clip for k, clip in enumerate(found) if not isinstance(clip, Answer)}
    films = outputs(clips, "--overlay", options.overlay, ".mp4")
    elans = outputs(clips, "--eaf", options.eaf, ".eaf")
    check_free((options.report, *films.values(), *elans.values()), force=options.force)
    return _told(found, (path, maps), films, elans, options, progress or (lambda *_: None))


def _told(
    found: Sequence[Clip | Answer],
    asked: tuple[Path, Path],
    films: dict[int, Path],
    elans: dict[int, Path],
    options: PredictOptions,
    progress: Progress,
) -> Iterator[Answer]:
    """Yield all answers in order; what the report needs lies in files until they are there."""
    with tempfile.TemporaryDirectory(prefix="mecli-predict-") as folder:
        parts = {k: Path(folder) / f"{k}.html" for k in range(len(found)) if options.report}
        tasks = {
            k: _Task(k, clip, asked[clip.holds_flow], options, films.get(k), parts.get(k))
            for k, clip in enumerate(found)
            if not isinstance(clip, Answer)
        }
        told: list[tuple[str, Answer]] = []
        for place, said in _in_order(found, tasks, options, progress):
            elan = elans.get(place)
            answers = said if elan is None else _with_elan(elan, tasks[place].clip, said)
            told += [(f"clip{place}-{k}", a) for k, a in enumerate(answers) if options.report]
            yield from answers
        if options.report is not None:
            from mecli.report.page import page

            fragments = (part.read_text() for part in parts.values() if part.exists())
            pieces = page("mecli predict", told, fragments)
            files.write_parts(options.report, map(files.encoded, pieces))


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


def _with_elan(path: Path, clip: Clip, answers: list[Answer]) -> list[Answer]:
    """Write the ELAN document on `clip`, if it was judged; the answers say what prevents it."""
    from mecli.report.elan import elan, tiers_of

    if any(answer.fps is None for answer in answers if not answer.error):
        why = "no ELAN document without a frame rate: name it with --fps"
        return [replace(answer, issues=(*answer.issues, why)) for answer in answers]
    if not all(answer.error for answer in answers):
        media = clip.frames if isinstance(clip.frames, Path) else None
        files.write_text(path, elan(media, tiers_of(answers)))
    return answers


def _in_order(
    found: Sequence[Clip | Answer],
    tasks: dict[int, _Task],
    options: PredictOptions,
    progress: Progress,
) -> Iterator[tuple[int, list[Answer]]]:
    """Run `tasks`, holding back only answers that overtook an earlier clip's."""
    places = list(tasks)
    ready = {k: [said] for k, said in enumerate(found) if isinstance(said, Answer)}
    waiting = 0
    with Underway([task.clip.clip_id for task in tasks.values()], progress) as underway:
        noted = [replace(t, note=n) for t, n in zip(tasks.values(), underway.notes, strict=True)]
        for outcome in _outcomes(noted, options):
            task = tasks[places[outcome.index]]
            ready[task.place] = _answers(task, outcome)
            underway.finish(outcome.index)
            while waiting in ready:
                yield waiting, ready.pop(waiting)
                waiting += 1
    yield from sorted(ready.items())


def _outcomes(
    tasks: Sequence[_Task], options: PredictOptions
) -> Iterator[workers.Outcome[list[Answer]]]:
    jobs = workers.cores() if options.jobs is None else options.jobs
    return workers.run(answer, tasks, jobs, options.timeout_s, _WORKER_MEMORY, "mecli.judging")


def _answers(task: _Task, outcome: workers.Outcome[list[Answer]]) -> list[Answer]:
    if outcome.value is not None:
        return outcome.value
    error = outcome.error
    # A clip's own InputError is an answer already: one that gets here is about the checkpoint.
    if error is not None and (
        isinstance(error, InputError) or not workers.is_failure_of_task(error)
    ):
        raise error
    return [Answer(task.clip.clip_id, task.clip.location, error=outcome.reason)]


def answer(task: _Task) -> list[Answer]:
    """Ask the checkpoint about one clip and draw it; runs in a worker, which alone loads torch."""
    from mecli import exhibits

    # Drawing a film of all frames takes about as long as searching them.
    judging = 1.0 if task.film is None else 0.5

    def judged_so_far(share: float) -> None:
        note_share(task.note, judging * share)

    def drawn_so_far(share: float) -> None:
        note_share(task.note, judging + (1 - judging) * share)

    drawn = task.film is not None or task.fragments is not None
    judge = _judge(task.checkpoint, task.options, drawn)
    judged = judge.judge(task.clip, progress=judged_so_far)
    try:
        if task.film is not None and not all(j.answer.error for j in judged):
            exhibits.write_film(task.film, task.clip, judged, drawn_so_far)
        if task.fragments is not None:
            exhibits.write_fragments(task.fragments, task.place, task.clip, judged)
    except InputError as error:
        return [replace(j.answer, error=str(error)) for j in judged]
    return [j.answer for j in judged]


@lru_cache(maxsize=2)
def _judge(checkpoint: Path, question: Question, drawn: bool) -> Judge:
    from mecli.judging import Judge

    return Judge(checkpoint, question, drawn=drawn)
