"""One clip in, answers out: what the verb's workers and the Python interface share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mecli.corpora.loose import SUBJECT_UNKNOWN
from mecli.doubts import check_rate, doubts, of_length
from mecli.errors import InputError
from mecli.footage import Stopwatch
from mecli.landmarks.choose import choose, resolve
from mecli.preprocess import preprocess
from mecli.question import Question
from mecli.recipe import Recipe
from mecli.report.answers import MOMENTS, Answer
from mecli.training.attribution import attribute
from mecli.training.checkpoint import load_checkpoint, scores
from mecli.video import probe

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.clips import Clip
    from mecli.records import ClipRecord
    from mecli.training.checkpoint import Checkpoint


class Judged(NamedTuple):
    """An answer and, unless it is an error, the record it was read from."""

    answer: Answer
    record: ClipRecord | None = None


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


class Judge:
    """A checkpoint that is loaded once and asked about one clip after the other."""

    def __init__(self, checkpoint: Path, question: Question | None = None) -> None:
        self.question = question or Question()
        self.checkpoint = load_checkpoint(checkpoint)
        self.recipe = recipe_of(self.checkpoint, self.question.landmarks)
        self.landmarker = choose(self.recipe.landmarks)

    def judge(self, clip: Clip, watch: Stopwatch | None = None) -> list[Judged]:
        """Return an answer for each face asked for; what is wrong with `clip` is an answer too."""
        watch = watch or Stopwatch()
        try:
            if clip.holds_flow:
                return [self._ask(clip, 0, {}, watch)]
            with watch.stage("decode"):
                clip, measured = self._described(clip)
            first = self._ask(clip, (self.question.face or 1) - 1, measured, watch)
            count = int(first.answer.quality["faces"]) if self.question.all_faces else 1
            return [first, *(self._ask(clip, face, measured, watch) for face in range(1, count))]
        except InputError as error:
            failed = Answer(clip.clip_id, clip.location, error=str(error), issues=clip.issues)
            return [Judged(failed)]

    def _described(self, clip: Clip) -> tuple[Clip, dict[str, float]]:
        """Return `clip` with its frame rate, and what its file says about its quality."""
        if clip.pixels == ():
            return clip, {}
        info = probe(clip.pixels)
        fps = clip.fps or info.fps or self.question.fps
        check_rate(f"{clip.location}: clip {clip.clip_id}", fps, force=self.question.force)
        measured = {}
        if info.bit_rate and info.fps:
            measured["bits_per_pixel"] = info.bit_rate / (info.fps * info.width * info.height)
        return replace(clip, fps=fps), measured

    def _ask(self, clip: Clip, face: int, measured: dict[str, float], watch: Stopwatch) -> Judged:
        record = preprocess(clip, self.recipe, self.landmarker, watch, face)
        with watch.stage("model"):
            return Judged(self._answer(record, face, {**record.quality, **measured}), record)

    def _answer(self, record: ClipRecord, face: int, quality: dict[str, float]) -> Answer:
        shares = scores(self.checkpoint, [record])[0]
        named = dict(zip(self.checkpoint.classes, map(float, shares), strict=True))
        method, parts = attribute(self.checkpoint, record, self.question.attribution)
        chosen = self.question.all_faces or self.question.face is not None
        unsure = doubts(quality, record.fps, named, chosen=chosen) if quality else ()
        if record.onset_estimated and record.offset_estimated and record.fps:
            unsure += of_length(record.frame_count / record.fps)
        return Answer(
            clip=record.clip_id,
            source=record.source,
            prediction=max(named, key=lambda name: named[name]),
            scores={name: round(share, 6) for name, share in named.items()},
            calibrated=self.checkpoint.temperature is not None,
            unsure=unsure,
            face=face + 1,
            onset=record.onset,
            apex=record.apex,
            offset=record.offset,
            found=tuple(name for name in MOMENTS if getattr(record, f"{name}_estimated")),
            fps=None if record.fps is None else round(record.fps, 4),
            rois={name: round(part, 6) for name, part in parts.items()},
            attribution=method,
            quality={name: round(value, 6) for name, value in quality.items()},
            landmarker=record.landmarker,
            # Who is shown matters for training only.
            issues=tuple(i for i in record.issues if not i.startswith(SUBJECT_UNKNOWN)),
        )
