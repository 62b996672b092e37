"""One clip in, answers out: what the verb's workers and the Python interface share."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from mecli import magnification
from mecli.checkpoints import name_of
from mecli.corpora.loose import SUBJECT_UNKNOWN
from mecli.doubts import LONG_S, check_rate, doubts, of_length
from mecli.errors import InputError
from mecli.footage import Stopwatch
from mecli.landmarks.choose import choose
from mecli.motion import moved_px
from mecli.preprocess import preprocess
from mecli.question import Question
from mecli.report.answers import MOMENTS, NOTHING, Answer, Watched
from mecli.schemes.megc2019_none import NONE
from mecli.searching import search
from mecli.steps import EVERYTHING
from mecli.training.attribution import attribute
from mecli.training.checkpoint import load_checkpoint, scores
from mecli.training.wanted import need_of, recipe_of
from mecli.video import probe, read_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mecli.clips import Clip
    from mecli.pictures import Frame
    from mecli.records import ClipRecord
    from mecli.searching import Search
    from mecli.spotting import Interval

    Progress = Callable[[float], None]

THRESHOLD = 0.7
"""Least `mecli.spotting.Interval.score` of what is judged. It may be lower than where nobody
judges, since the class ``none`` dismisses what is no expression: on 16 rendered videos F1 is
.86, no better further down, and .82 with `mecli.spotting.THRESHOLD`."""

_SEARCHING = 0.8
"""Share of the work on a long video that is done when it is searched."""


class Judged(NamedTuple):
    """An answer and, unless it is an error, the record it was read from."""

    answer: Answer
    record: ClipRecord | None = None


class Judge:
    """A checkpoint that is loaded once and asked about one clip after the other."""

    def __init__(
        self, checkpoint: Path, question: Question | None = None, *, drawn: bool = False
    ) -> None:
        """Load `checkpoint`; only records that are to be `drawn` hold more than it looks at."""
        self.question = question or Question()
        self.path = checkpoint
        self.checkpoint = load_checkpoint(checkpoint)
        self.recipe = recipe_of(self.checkpoint, self.question.landmarks)
        self.landmarker = choose(self.recipe.landmarks)
        self._need = EVERYTHING if drawn else need_of(self.checkpoint, self.recipe)

    def judge(
        self, clip: Clip, watch: Stopwatch | None = None, progress: Progress | None = None
    ) -> list[Judged]:
        """Return the answers about `clip`: one a face, and one an interval of a long video.

        A video of more than two seconds without a named moment is searched first; if nothing
        is found in it, that is the answer. What is wrong with `clip` is an answer too.
        `progress` is told which share of a long video is done.
        """
        watch = watch or Stopwatch()
        try:
            if clip.holds_flow:
                return [self._ask(clip, 0, {}, watch)]
            with watch.stage("decode"):
                clip, measured, long = self._described(clip)
            if long and not self.question.whole:
                return self._search(clip, measured, watch, progress or (lambda _: None))
            return self._ask_whole(clip, measured, watch)
        except InputError as error:
            return [_failed(clip, error)]

    def _described(self, clip: Clip) -> tuple[Clip, dict[str, float], bool]:
        """Return `clip` with its rate, what its file says of its quality, and if it is long."""
        if clip.pixels == ():
            return clip, {}, False
        info = probe(clip.pixels)
        fps = self.question.fps or clip.fps or info.fps
        check_rate(f"{clip.location}: clip {clip.clip_id}", fps, force=self.question.force)
        clip = replace(clip, fps=fps)
        return clip, info.quality, _is_long(clip, info.frame_count)

    def _ask_whole(self, clip: Clip, measured: dict[str, float], watch: Stopwatch) -> list[Judged]:
        """Return an answer for each face asked for."""
        first = self._ask(clip, (self.question.face or 1) - 1, measured, watch)
        count = int(first.answer.quality["faces"]) if self.question.all_faces else 1
        return [first, *(self._ask(clip, face, measured, watch) for face in range(1, count))]

    def _search(
        self, clip: Clip, measured: dict[str, float], watch: Stopwatch, progress: Progress
    ) -> list[Judged]:
        """Return an answer for each expression of each face asked for in a long video."""
        assert clip.fps is not None
        count = probe(clip.pixels).frame_count
        first, done, people = (self.question.face or 1) - 1, 0, 1
        told: list[Judged] = []

        def noted(share: float) -> None:
            progress(min((done + share) / people, 1.0))

        while done < people:
            face = first + done
            with watch.stage("spot"):
                found = search(
                    clip,
                    clip.fps,
                    self.landmarker,
                    face=face,
                    threshold=THRESHOLD,
                    progress=lambda frames: noted(_SEARCHING * frames / count if count else 0.0),
                )
            if self.question.all_faces:
                people = found.people
            told += self._judge_found(clip, face, found, measured, watch, noted)
            done += 1
        return told

    def _judge_found(
        self,
        clip: Clip,
        face: int,
        found: Search,
        measured: dict[str, float],
        watch: Stopwatch,
        noted: Progress,
    ) -> list[Judged]:
        """Judge the intervals `found` of face number `face`, decoding only those."""
        # What lacks anywhere before shifts all seconds after it.
        measured = {**measured, "missing": found.quality["missing"]}
        spans = [(interval.onset, interval.offset) for interval in found.intervals]
        frames = read_spans(clip.pixels, spans) if spans else iter(())
        judged = []
        for place, interval in enumerate(found.intervals):
            noted(_SEARCHING + (1 - _SEARCHING) * place / len(found.intervals))
            part = islice(frames, interval.offset - interval.onset + 1)
            where = found.centre[interval.onset // found.step]
            one = self._interval(clip, interval, where, measured, watch, part)
            one = one._replace(answer=replace(one.answer, face=face + 1))
            # What was not read, because it could not be judged, is not the next interval's.
            deque(part, maxlen=0)
            judged.append(one)
        kept = [one for one in judged if one.answer.prediction != NONE]
        watched = Watched(
            frames=found.frame_count,
            step=found.step,
            curve=found.curve,
            seen=float(found.seen.mean()),
            dismissed=len(judged) - len(kept),
        )
        if not kept:
            kept = [Judged(self._nothing(clip, face, {**found.quality, **measured}))]
        return [one._replace(answer=replace(one.answer, watched=watched)) for one in kept]

    def _nothing(self, clip: Clip, face: int, quality: dict[str, float]) -> Answer:
        """Return that a long video shows no expression, and why that may be wrong."""
        return Answer(
            clip.clip_id,
            clip.location,
            kind=NOTHING,
            unsure=doubts(quality, clip.fps, {}, chosen=self._chosen),
            face=face + 1,
            fps=clip.fps,
            quality={name: round(value, 6) for name, value in quality.items()},
            landmarker=self.landmarker.name,
            checkpoint=name_of(self.path),
            issues=_told_issues(clip.issues),
        )

    @property
    def _chosen(self) -> bool:
        """Whether somebody named the face, so that others beside it are no surprise."""
        return self.question.all_faces or self.question.face is not None

    def _interval(
        self,
        clip: Clip,
        interval: Interval,
        where: NDArray[np.float32],
        measured: dict[str, float],
        watch: Stopwatch,
        frames: Iterator[Frame],
    ) -> Judged:
        """Judge one interval of a long video, whose `frames` somebody reads.

        The middle of the face is expected at `where`, pixels.
        """
        named = replace(clip, onset=interval.onset, apex=interval.apex, offset=interval.offset)
        try:
            answer, record = self._ask(named, where, measured, watch, frames)
        except InputError as error:
            return _failed(clip, error)
        assert record is not None
        # A long video has many intervals, and nobody draws the pictures of their regions.
        slim = replace(record, roi_frames=record.roi_frames[:0])
        said = replace(answer, kind=interval.kind, spotted=interval.score, found=MOMENTS)
        return Judged(said, slim)

    def _ask(
        self,
        clip: Clip,
        face: int | NDArray[np.float32],
        measured: dict[str, float],
        watch: Stopwatch,
        frames: Iterator[Frame] | None = None,
    ) -> Judged:
        record = preprocess(
            clip, self.recipe, self.landmarker, watch, face, frames, need=self._need
        )
        quality = {**record.quality, **measured}
        # What was spotted stands out of its video's own noise, however little it moves.
        spotted = not isinstance(face, int)
        if not spotted and len(record.landmarks) and self.recipe.magnify == magnification.NONE:
            quality["motion_px"] = moved_px(record)
        with watch.stage("model"):
            answer = self._answer(record, quality)
        return Judged(replace(answer, face=face + 1) if isinstance(face, int) else answer, record)

    def _answer(self, record: ClipRecord, quality: dict[str, float]) -> Answer:
        shares = scores(self.checkpoint, [record])[0]
        named = dict(zip(self.checkpoint.classes, map(float, shares), strict=True))
        method, parts = attribute(self.checkpoint, record, self.question.attribution)
        unsure = doubts(quality, record.fps, named, chosen=self._chosen) if quality else ()
        if record.onset_estimated and record.offset_estimated:
            unsure += of_length(record.frame_count, record.fps)
        return Answer(
            clip=record.clip_id,
            source=record.source,
            prediction=max(named, key=lambda name: named[name]),
            scores={name: round(share, 6) for name, share in named.items()},
            calibrated=self.checkpoint.temperature is not None,
            unsure=unsure,
            onset=record.onset,
            apex=record.apex,
            offset=record.offset,
            found=tuple(name for name in MOMENTS if getattr(record, f"{name}_estimated")),
            fps=None if record.fps is None else round(record.fps, 4),
            rois={name: round(part, 6) for name, part in parts.items()},
            attribution=method,
            quality={name: round(value, 6) for name, value in quality.items()},
            landmarker=record.landmarker,
            checkpoint=name_of(self.path),
            issues=_told_issues(record.issues),
        )


def _is_long(clip: Clip, count: int | None) -> bool:
    """Whether `clip` of `count` frames outlasts an expression, and nobody says where one is."""
    if clip.fps is None or not clip.onset is clip.apex is clip.offset is None:
        return False
    return count is None or count > LONG_S * clip.fps


def _told_issues(issues: Sequence[str]) -> tuple[str, ...]:
    # Who is shown matters for training only.
    return tuple(issue for issue in issues if not issue.startswith(SUBJECT_UNKNOWN))


def _failed(clip: Clip, error: InputError) -> Judged:
    return Judged(Answer(clip.clip_id, clip.location, error=str(error), issues=clip.issues))
