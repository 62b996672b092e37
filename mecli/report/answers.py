"""What ``predict`` says: one answer a face and interval, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mecli.report.tables import Table, count, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    import numpy as np
    from numpy.typing import NDArray

    from mecli.doubts import Doubt

MOMENTS = ("onset", "apex", "offset")
NOTHING = "nothing"
_ROIS_SHOWN = 2


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What was seen of a long video that was searched."""

    frames: int
    step: int
    """Every how manieth frame was looked at."""
    curve: NDArray[np.float32]
    """(T,) how much the face moves in those frames, in multiples of its noise."""
    seen: float
    """Share of the video that shows the face."""
    dismissed: int
    """Movements that the model judged to be no expression."""

    def as_json(self, first: int, last: int) -> dict[str, Any]:
        """Return the account, with the part of the curve from frame `first` to `last`."""
        low, high = -(-first // self.step), last // self.step
        heights = [round(float(height), 2) for height in self.curve[low : high + 1]]
        return {
            "frames": self.frames,
            "seen": round(self.seen, 4),
            "dismissed": self.dismissed,
            "curve": {"first": low * self.step, "step": self.step, "heights": heights},
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of one face in one interval, or why it cannot say anything.

    Positions are 0-based frames, inclusive; `found` names those of onset, apex and offset
    that the source did not give. `rois` is the share of each region in
    the decision, found by `attribution`. `scores` are probabilities, `calibrated` if the model
    knows how sure it may be. `unsure` are the reasons not to believe the answer.
    """

    clip: str
    source: str
    error: str = ""
    prediction: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    calibrated: bool = False
    unsure: tuple[Doubt, ...] = ()
    face: int = 1
    """1 is the largest in the onset frame; in a long video who came first, the larger first."""
    kind: str = ""
    """``micro`` or ``macro`` for an interval that was spotted in a long video, ``nothing``
    for a video in which no expression was found: no class is named then."""
    spotted: float | None = None
    """How much a spotted interval stands out."""
    watched: Watched | None = None
    """What was seen of a long video."""
    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    found: tuple[str, ...] = ()
    fps: float | None = None
    rois: Mapping[str, float] = field(default_factory=dict)
    attribution: str = ""
    quality: Mapping[str, float] = field(default_factory=dict)
    landmarker: str = ""
    checkpoint: str = ""
    """Which one said so: the name of a shipped one, or its file."""
    issues: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the answer as one JSON object."""
        if self.error:
            return {"clip": self.clip, "source": self.source, "error": self.error}
        frames = {name: getattr(self, name) for name in MOMENTS}
        search = None
        if self.watched is not None:
            last = self.watched.frames - 1 if self.offset is None else self.offset
            search = self.watched.as_json(self.onset or 0, last)
        return {
            "clip": self.clip,
            "source": self.source,
            "face": self.face,
            "prediction": self.prediction or None,
            "scores": dict(self.scores),
            "calibrated": self.calibrated,
            "unsure": [doubt._asdict() for doubt in self.unsure],
            "interval": {
                "kind": self.kind or None,
                "spotted": self.spotted,
                **frames,
                "found": list(self.found),
                **{f"{name}_s": self.seconds(name) for name in MOMENTS},
            },
            "search": search,
            "fps": self.fps,
            "rois": dict(self.rois),
            "attribution": self.attribution,
            "landmarker": self.landmarker,
            "checkpoint": self.checkpoint,
            "quality": dict(self.quality),
            "issues": list(self.issues),
        }

    def seconds(self, moment: str) -> float | None:
        """Return when `moment` (onset, apex or offset) is, seconds from the first frame."""
        position: int | None = getattr(self, moment)
        if position is None or self.fps is None:
            return None
        return round(position / self.fps, 4)


def answers_text(answers: Sequence[Answer], stream: TextIO | None = None) -> str:
    """Return a table of `answers`: class, how sure, when, where, and why to doubt it."""
    good = [answer for answer in answers if not answer.error]
    if not good:
        return "no clip could be judged\n"
    classes = list(dict.fromkeys(name for answer in good for name in answer.scores))
    faces = any(answer.face > 1 for answer in good)
    # Nobody finds frame 31,415 of an interview; its second is found.
    times = ["from s", "to s"] if any(answer.watched for answer in good) else []
    header = ["clip", "prediction", *classes, *MOMENTS, *times, "decided by", "face", "unsure"]
    rows = [
        [
            _called(answer, faces),
            verdict(answer),
            *(f"{answer.scores[name]:.2f}" if answer.scores else "–" for name in classes),
            *_interval(answer),
            *(_second(answer, end) for end in ("onset", "offset") if times),
            ", ".join(_strongest(answer)) or "–",
            f"{answer.quality['face_px']:.0f} px" if "face_px" in answer.quality else "–",
            ", ".join(doubt.reason for doubt in answer.unsure) or "–",
        ]
        for answer in good
    ]
    blocks: list[str | Table] = [Table(header, rows, left=2), *_notes(good, faces)]
    return render(blocks, stream)


def verdict(answer: Answer) -> str:
    """Return the class of `answer` and of what kind the movement is, in words."""
    if answer.kind == NOTHING:
        return "nothing found"
    return answer.prediction + (f" ({answer.kind})" if answer.kind else "")


def watched_text(answer: Answer) -> str:
    """Return what was looked at in the long video of `answer`, in words; "" for a short clip."""
    watched = answer.watched
    if watched is None or answer.fps is None:
        return ""
    said = [f"{watched.frames / answer.fps:.1f} s searched"]
    if watched.dismissed:
        said.append(f"{count(watched.dismissed, 'movement')} judged to be no expression")
    if watched.seen < 1:
        said.append(f"no face followed in {1 - watched.seen:.0%} of it")
    return ", ".join(said)


def _called(answer: Answer, faces: bool) -> str:
    """Return the clip of `answer`, and whose answer it is where there are several `faces`."""
    return answer.clip + (f" face {answer.face}" if faces else "")


def _notes(good: Sequence[Answer], faces: bool) -> list[str]:
    notes = []
    videos = {f"{_called(a, faces)}: {watched_text(a)}" for a in good if a.watched}
    if videos:
        notes.append("\n".join(sorted(videos)))
    if any(answer.found for answer in good):
        notes.append("* found by mecli, not given with the clip; frames count from 0")
    if not all(answer.calibrated for answer in good if answer.scores):
        notes.append("class scores are not calibrated: the checkpoint held nobody out")
    doubts = [f"{a.clip}: {d.reason}: {d.detail}" for a in good for d in a.unsure]
    odd = [f"{answer.clip}: {issue}" for answer in good for issue in answer.issues]
    for lines, noun in ((doubts, "reason to be unsure"), (odd, "odd thing")):
        unique = list(dict.fromkeys(lines))
        if unique:
            many = noun.replace("reason", "reasons") if len(unique) > 1 else noun
            title = f"{len(unique)} {many}" if "reason" in noun else count(len(unique), noun)
            notes.append("\n".join([f"{title}:", *unique]))
    return notes


def _interval(answer: Answer) -> list[str]:
    if answer.kind == NOTHING:
        return ["–"] * len(MOMENTS)
    at = {moment: getattr(answer, moment) for moment in MOMENTS}
    # Flow images have no frames.
    return ["–" if k is None else f"{k}{'*' * (m in answer.found)}" for m, k in at.items()]


def _second(answer: Answer, moment: str) -> str:
    at = answer.seconds(moment)
    return "–" if at is None else f"{at:.2f}"


def _strongest(answer: Answer) -> list[str]:
    ranked = sorted(answer.rois.items(), key=lambda item: -item[1])
    return [f"{name} {share:.2f}" for name, share in ranked[:_ROIS_SHOWN]]


def answers_csv(answers: Sequence[Answer]) -> str:
    """Return `answers` as CSV, one row each; scores and ROIs have a column for each name."""
    good = [answer for answer in answers if not answer.error]
    classes = list(dict.fromkeys(name for answer in good for name in answer.scores))
    rois = list(dict.fromkeys(name for answer in good for name in answer.rois))
    moments_s = [f"{moment}_s" for moment in MOMENTS]
    plain = ["clip", "source", "face", "kind", "spotted", *MOMENTS, *moments_s, "fps"]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    names = [*(f"score_{name}" for name in classes), *(f"roi_{name}" for name in rois)]
    table.writerow([*plain, "prediction", *names, "unsure", "error"])
    for answer in answers:
        cells = [
            *(answer.clip, answer.source, answer.face, answer.kind, answer.spotted),
            *(getattr(answer, moment) for moment in MOMENTS),
            *(answer.seconds(moment) for moment in MOMENTS),
            *(answer.fps, answer.prediction),
            *(answer.scores.get(name) for name in classes),
            *(answer.rois.get(name) for name in rois),
            *(" ".join(doubt.reason for doubt in answer.unsure), answer.error),
        ]
        table.writerow(["" if cell is None else cell for cell in cells])
    return text.getvalue()
