"""The clips a source holds, and what became of them, as tables and JSON-able objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mecli.errors import printable
from mecli.report.tables import Table, count, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from mecli.clips import Clip

_MANY = 20


def clip_json(clip: Clip) -> dict[str, Any]:
    """Return what the corpus says of `clip` as one object."""
    images = clip.frames if isinstance(clip.frames, tuple) else None
    return {
        "clip": clip.clip_id,
        "corpus": clip.corpus,
        "subject": clip.subject,
        "name": clip.name,
        "source": clip.location,
        "images": None if images is None else len(images),
        "onset": clip.onset,
        "apex": clip.apex,
        "offset": clip.offset,
        "fps": clip.fps,
        "labels": dict(clip.labels),
        "issues": list(clip.issues),
    }


def clips_text(clips: Sequence[Clip], stream: TextIO | None = None) -> str:
    """Return a table of `clips`, one a row, with what is odd about each."""
    rows = [
        [
            clip.clip_id,
            _frame(clip.onset),
            _frame(clip.apex),
            _frame(clip.offset),
            "–" if clip.fps is None else f"{clip.fps:g}",
            clip.labels.get("emotion") or "–",
            "; ".join(clip.issues),
        ]
        for clip in clips
    ]
    header = ["clip", "onset", "apex", "offset", "fps", "emotion", "odd"]
    people = len({clip.person for clip in clips})
    odd = sum(bool(clip.issues) for clip in clips)
    total = f"{count(len(clips), 'clip')} of {count(people, 'subject')}, {odd} with something odd"
    return render([Table(header, rows), total], stream)


def _frame(position: int | None) -> str:
    return "–" if position is None else str(position)


def summary_text(summary: Mapping[str, Any]) -> str:
    """Return what one run of ``extract`` did (its JSON object) in a few lines."""
    landmarker = summary["landmarker"]
    rows = [
        ["cache", summary["cache"]],
        ["landmarks", "none (ready-made flow)" if landmarker == "none" else landmarker],
        ["clips", f"{summary['clips']} ({summary['unchanged']} unchanged)"],
        ["failed", str(len(summary["failed"]))],
        ["odd", f"{len(summary['odd'])} (see `mecli extract … --list`)"],
    ]
    if summary["unlisted"]:
        rows.append(["unlisted", _unlisted(summary["unlisted"])])
    if summary["frames"]:
        speed = summary["frames"] / max(summary["seconds"], 1e-9)
        rows.append(["frames", f"{summary['frames']} in {summary['seconds']:.1f} s, {speed:.0f}/s"])
        rows.append(["time", stages_text(summary["stages_s"])])
    return render([Table(["extract", ""], rows, left=2)])


def _unlisted(clips: Sequence[str]) -> str:
    return (
        f"{count(len(clips), 'more clip')} of the same corpora in the cache, {clips[0]} first; "
        "if an older annotation named them so, start anew with --force"
    )


def failures_text(failures: Mapping[str, str], *, others: bool = True) -> str:
    """Return how many clips or sources were left out, and one line for each of the first.

    `others` tells whether there were clips that did not fail.
    """
    went_on = "; the other clips went on" if others else ""
    lines = [f"mecli: {count(len(failures), 'failure')}{went_on}"]
    lines += [_failure(clip, reason) for clip, reason in sorted(failures.items())[:_MANY]]
    if len(failures) > _MANY:
        lines.append(f"  … and {len(failures) - _MANY} more (all with --json)")
    return "\n".join(lines)


def stages_text(stages_s: Mapping[str, float]) -> str:
    """Return each stage's share of the time spent, the largest first."""
    total = sum(stages_s.values()) or 1.0
    largest = sorted(stages_s.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {100 * seconds / total:.0f} %" for name, seconds in largest)


def _failure(clip: str, reason: str) -> str:
    # A reason is one line already; what failed may be a path with anything in its name.
    clip = printable(clip)
    return f"  {reason}" if clip in reason else f"  {clip}: {reason}"


def figures_text(title: str, figures: Mapping[str, Any]) -> str:
    """Return measured figures as two columns; shares as percent."""
    rows = []
    for name, value in figures.items():
        shown = stages_text(value) if isinstance(value, dict) else str(value)
        rows.append([name.replace("_", " "), shown])
    return render([Table([title, ""], rows, left=2)])
