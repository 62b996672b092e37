"""The Python interface: a model loaded once, asked about arrays or files in this process."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mecli import checkpoints
from mecli.clips import Clip, Held
from mecli.corpora.sources import read_sources
from mecli.errors import InputError
from mecli.judging import Judge
from mecli.question import Question

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mecli.report.answers import Answer


class Predictor:
    """Says of clips what moved, where, when and how sure that is.

    ::

        from mecli import Predictor

        predictor = Predictor()                          # the newest run's checkpoint
        answer = predictor("clip.mp4")
        answer = predictor(frames, fps=200, onset=12)    # (T, H, W, 3) uint8 RGB
        answer.prediction, answer.scores, answer.unsure

    `checkpoint` is a file that ``mecli train`` wrote, or ``bundled``, ``bundled-faces``,
    ``bundled-maps``; None is the newest below `runs`, and the bundled one if there is none. All
    else is as for ``mecli predict``: `landmarks` a back end's name, `face` 1 for the
    largest, `all_faces`, `attribution` ``weights`` or ``occlusion``, `whole` to judge long
    videos as one clip, `force` to judge below 25 frames/s. Raises `MissingDependency` if
    there is no checkpoint, `InputError` if it is broken, `UsageError` for options that make
    no sense.

    Files are decoded in this process, without a time-out or a limit of memory: for files
    that nobody vouches for use ``mecli predict``.
    """

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        runs: str | Path = "runs",
        landmarks: str | None = None,
        face: int | None = None,
        all_faces: bool = False,
        attribution: str | None = None,
        whole: bool = False,
        force: bool = False,
    ) -> None:
        chosen = partial(checkpoints.choose, checkpoint, Path(runs))
        question = Question(
            landmarks=landmarks,
            face=face,
            all_faces=all_faces,
            attribution=attribution,
            whole=whole,
            force=force,
        )
        self._judge = Judge(chosen(), question)
        self._maps = chosen(maps=True)
        self._judge_of_maps: Judge | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes it tells apart, in the order of the scores."""
        return self._judge.checkpoint.classes

    def __call__(
        self,
        clip: str | Path | NDArray[np.uint8],
        *,
        fps: float | None = None,
        onset: int | None = None,
        apex: int | None = None,
        offset: int | None = None,
        name: str = "clip",
    ) -> Answer:
        """Return the one answer about `clip`; the arguments are those of `answers`.

        Raises `InputError` if it cannot be judged, or if there is not exactly one answer
        (a folder of clips, all faces, a long video): ask `answers` then.
        """
        found = self.answers(clip, fps=fps, onset=onset, apex=apex, offset=offset, name=name)
        if len(found) != 1:
            raise InputError(f"{name}: {len(found)} answers, expected one; call answers() instead")
        if found[0].error:
            raise InputError(found[0].error)
        return found[0]

    def answers(
        self,
        clip: str | Path | NDArray[np.uint8],
        *,
        fps: float | None = None,
        onset: int | None = None,
        apex: int | None = None,
        offset: int | None = None,
        name: str = "clip",
    ) -> list[Answer]:
        """Return an answer for each clip, face and interval; one that fails says why in `error`.

        `clip` is an array (T, H, W, 3) uint8 RGB with its `fps`, called `name` in the
        answer, or whatever ``mecli predict`` takes: a video, a folder of images, a corpus;
        for these `fps` stands before what the file says, as for a film in slow motion.
        `onset`, `apex` and `offset` are 0-based frames of an array, inclusive; what is not
        given is found. Arrays and videos of more than two seconds of which no moment is
        given are searched: an answer for each expression, its `kind` ``micro`` or ``macro``,
        or one of kind ``nothing``. Raises `InputError` for a path that holds no clips.
        """
        if isinstance(clip, np.ndarray):
            held = Held(clip, fps)
            clips = [
                Clip(
                    "array", "unknown", name, (),
                    onset=onset, apex=apex, offset=offset, fps=fps, held=held,
                )
            ]  # fmt: skip
        else:
            if not onset is apex is offset is None:
                raise InputError(
                    f"{clip}: onset, apex and offset go with an array; write a manifest for files"
                )
            clips = read_sources([clip])
        return [judged.answer for one in clips for judged in self._of(one).judge(_rated(one, fps))]

    def _of(self, clip: Clip) -> Judge:
        """Return who judges `clip`: for flow images another shipped checkpoint than for faces."""
        if not clip.holds_flow or self._maps == self._judge.path:
            return self._judge
        if self._judge_of_maps is None:
            self._judge_of_maps = Judge(self._maps, self._judge.question)
        return self._judge_of_maps


def _rated(clip: Clip, fps: float | None) -> Clip:
    return clip if fps is None else replace(clip, fps=fps)
