"""What ``predict`` says, for people: one line a clip, and which regions decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mecli.report.tables import Table, count, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

_ROIS_SHOWN = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of one clip, or why it cannot say anything.

    Positions are 0-based frames; `found` names those of onset, apex and offset that the
    source did not give. `rois` says how much each region supports the predicted class.
    """

    clip: str
    source: str
    error: str = ""
    prediction: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    found: tuple[str, ...] = ()
    fps: float | None = None
    rois: Mapping[str, float] = field(default_factory=dict)
    quality: Mapping[str, float] = field(default_factory=dict)
    landmarker: str = ""
    issues: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the answer as one JSON object."""
        if self.error:
            return {"clip": self.clip, "source": self.source, "error": self.error}
        frames = {"onset": self.onset, "apex": self.apex, "offset": self.offset}
        return {
            "clip": self.clip,
            "source": self.source,
            "prediction": self.prediction,
            "scores": dict(self.scores),
            "interval": {
                **frames,
                "found": list(self.found),
                **{f"{name}_s": self._seconds(at) for name, at in frames.items()},
            },
            "fps": self.fps,
            "rois": dict(self.rois),
            "landmarker": self.landmarker,
            "quality": dict(self.quality),
            "issues": list(self.issues),
        }

    def _seconds(self, position: int | None) -> float | None:
        if position is None or self.fps is None:
            return None
        return round(position / self.fps, 4)


def answers_text(answers: Sequence[Answer], stream: TextIO | None = None) -> str:
    """Return a table of `answers`: class, how sure, when, where, and the face's quality."""
    good = [answer for answer in answers if not answer.error]
    if not good:
        return "no clip could be judged\n"
    classes = list(good[0].scores)
    header = ["clip", "prediction", *classes, "onset", "apex", "offset", "decided by", "face"]
    rows = [
        [
            answer.clip,
            answer.prediction,
            *(f"{answer.scores[name]:.2f}" for name in classes),
            *_interval(answer),
            ", ".join(_strongest(answer)),
            f"{answer.quality.get('face_px', 0.0):.0f} px",
        ]
        for answer in good
    ]
    blocks: list[str | Table] = [Table(header, rows, left=2)]
    if any(answer.found for answer in good):
        blocks.append("* found by mecli, not given with the clip; frames count from 0")
    odd = [f"{answer.clip}: {issue}" for answer in good for issue in answer.issues]
    if odd:
        blocks.append("\n".join([f"{count(len(odd), 'odd thing')}:", *odd]))
    return render(blocks, stream)


def _interval(answer: Answer) -> list[str]:
    frames = {"onset": answer.onset, "apex": answer.apex, "offset": answer.offset}
    return [f"{at}{'*' if name in answer.found else ''}" for name, at in frames.items()]


def _strongest(answer: Answer) -> list[str]:
    ranked = sorted(answer.rois.items(), key=lambda item: -item[1])
    return [f"{name} {share:.2f}" for name, share in ranked[:_ROIS_SHOWN]]
