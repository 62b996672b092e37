"""What ``spot`` found: one line an interval, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mecli.report.elan import Span
from mecli.report.tables import Table, count, render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from mecli.doubts import Doubt
    from mecli.spotting import Interval

MOMENTS = ("onset", "apex", "offset")


@dataclass(frozen=True, slots=True)
class Spotted:
    """The intervals of one video, in frames of the video, or why there are none to tell."""

    clip: str
    source: str
    error: str = ""
    fps: float = 0.0
    frames: int = 0
    seen: float = 0.0
    """Share of the video that shows a face."""
    intervals: tuple[Interval, ...] = ()
    regions: tuple[str, ...] = ()
    unsure: tuple[Doubt, ...] = ()
    """Why not to believe what was found, or that there was nothing."""

    def as_json(self) -> list[dict[str, Any]]:
        """Return one JSON object an interval; an error is one too."""
        if self.error:
            return [{"clip": self.clip, "source": self.source, "error": self.error}]
        return [
            {
                "clip": self.clip,
                "source": self.source,
                "kind": found.kind,
                **{name: getattr(found, name) for name in MOMENTS},
                **{f"{name}_s": self.seconds(getattr(found, name)) for name in MOMENTS},
                "fps": round(self.fps, 4),
                "score": found.score,
                "region": self.regions[found.region],
                "unsure": [doubt.reason for doubt in self.unsure],
            }
            for found in self.intervals
        ]

    def seconds(self, position: int) -> float:
        """Return when frame `position` is, seconds from the first frame."""
        return round(position / self.fps, 4)


def spots_text(videos: Sequence[Spotted], stream: TextIO | None = None) -> str:
    """Return a table of all intervals and how much was looked at."""
    good = [video for video in videos if not video.error]
    if not good:
        return "no video could be searched\n"
    rows = [
        [
            *(line["clip"], line["kind"]),
            *(str(line[name]) for name in MOMENTS),
            *(f"{line['onset_s']:.2f}", f"{line['offset_s']:.2f}"),
            *(f"{line['score']:.2f}", line["region"]),
        ]
        for video in good
        for line in video.as_json()
    ]
    minutes = sum(video.frames / video.fps for video in good) / 60
    found = f"{count(len(rows), 'interval')} in {count(len(good), 'video')}, {minutes:.1f} min"
    header = ["clip", "kind", *MOMENTS, "from s", "to s", "score", "most moved"]
    notes = [f"{v.clip}: {doubt.reason}: {doubt.detail}" for v in good for doubt in v.unsure]
    tables = [Table(header, rows, left=2)] if rows else []
    return render([*tables, "\n".join([f"{found}; frames count from 0", *notes])], stream)


def spots_tiers(video: Spotted) -> dict[str, list[Span]]:
    """Return the intervals of `video` as tiers of an ELAN document: by kind, and the apexes."""
    tiers: dict[str, list[Span]] = {}
    for found in video.intervals:
        start, end = found.onset / video.fps, (found.offset + 1) / video.fps
        said = f"{video.regions[found.region]} {found.score:.2f}"
        tiers.setdefault(f"{found.kind}-expression", []).append(Span(start, end, said))
        apex = Span(found.apex / video.fps, (found.apex + 1) / video.fps, "apex")
        tiers.setdefault("apex", []).append(apex)
    return tiers


def spots_csv(videos: Sequence[Spotted]) -> str:
    """Return all intervals as CSV, one row each; a video that failed has a row with its error."""
    text = io.StringIO()
    seconds = [f"{name}_s" for name in MOMENTS]
    names = [
        "clip",
        "source",
        "kind",
        *MOMENTS,
        *seconds,
        "fps",
        "score",
        "region",
        "unsure",
        "error",
    ]
    table = csv.DictWriter(text, names, restval="", lineterminator="\n")
    table.writeheader()
    for video in videos:
        for line in video.as_json():
            table.writerow({**line, "unsure": " ".join(line.get("unsure", ()))})
    return text.getvalue()
