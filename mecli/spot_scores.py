"""What ``evaluate --spotting`` does: spotted intervals against the annotation of long videos."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mecli import guard, labels, metrics
from mecli.corpora.recordings import recordings
from mecli.corpora.sources import read_sources
from mecli.errors import InputError
from mecli.interval_metrics import Spot, match, tally
from mecli.proposals import read_proposals
from mecli.report.spot_scores import Recognised, SpotScores
from mecli.video import probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from mecli.clips import Clip
    from mecli.corpora.recordings import Recording
    from mecli.labels import LabelTable
    from mecli.proposals import Proposal

SCHEME = "megc2019"
_NOTHING = "none"
"""The class of a clip without expression."""


@dataclass(frozen=True, slots=True)
class SpotScoreOptions:
    """Where the truth is, and the label scheme that predictions of spotted intervals are of."""

    truth: Path
    corpus: str | None = None
    labels: str = SCHEME


@dataclass(frozen=True, slots=True)
class _Truth:
    """The annotated intervals of all recordings; both tell of the same places."""

    clips: Mapping[str, Sequence[Clip]]
    spots: Mapping[str, Sequence[Spot]]
    minutes: float | None
    notes: tuple[str, ...]


def score_spots(
    answers: str | Path, options: SpotScoreOptions, stdin: TextIO | None = None
) -> SpotScores:
    """Score the intervals in `answers` (JSON, CSV or ``-``) against `options.truth`.

    A recording without a proposal counts as one in which nothing was spotted. Raises
    `InputError` for answers or a truth that cannot be read, and for a proposal in a
    recording the truth does not know.
    """
    proposals = read_proposals(answers, stdin)
    truth = _truth(options)
    found: dict[str, list[Proposal]] = {recording: [] for recording in truth.spots}
    known = _by_name(truth.spots)
    for proposal in proposals.spots:
        found[_recording(proposal.clip, known, proposals.source)].append(proposal)
    for other in (*proposals.failed, *proposals.empty):
        _recording(other, known, proposals.source)
    spotted = {recording: [p.spot for p in those] for recording, those in found.items()}
    notes = list(truth.notes)
    if proposals.failed:
        notes.append(f"{len(proposals.failed)} recordings were not searched: nothing found there")
    return SpotScores(
        source=proposals.source,
        truth=str(options.truth),
        recordings=len(truth.spots),
        minutes=truth.minutes,
        tallies=tally(truth.spots, spotted),
        recognised=_recognised(truth, found, options.labels),
        notes=tuple(notes),
    )


def _truth(options: SpotScoreOptions) -> _Truth:
    found = recordings(read_sources([options.truth], options.corpus, whole=True))
    lost = next((r.clip for r in found if not r.clip.frames), None)
    if lost is not None:
        raise InputError(
            f"{options.truth}: clip {lost.clip_id}: its frames are not on disk, so that nobody "
            "knows in which recording it is; put them beside the sheet"
        )
    clips: dict[str, list[Clip]] = {}
    spots: dict[str, list[Spot]] = {}
    left_out = 0
    for recording in found:
        name = recording.clip.clip_id
        clips[name], spots[name] = [], []
        for clip in recording.intervals:
            if clip.onset is not None and clip.offset is not None and clip.onset <= clip.offset:
                clips[name].append(clip)
                spots[name].append(Spot(clip.onset, clip.offset, _kind(clip)))
            elif clip.labels.get("emotion") != _NOTHING:
                left_out += 1
    notes = [f"{left_out} intervals without onset or offset are left out"] if left_out else []
    return _Truth(clips, spots, _minutes(found), tuple(notes))


def _kind(clip: Clip) -> str:
    """Return what the sheet calls it; a sheet that does not say so lists micro-expressions."""
    return "macro" if "macro" in clip.labels.get("type", "").casefold() else "micro"


def _minutes(found: Iterable[Recording]) -> float | None:
    """Return how long all recordings are together, None if one of them does not say it."""
    total = 0.0
    for recording in found:
        clip = recording.clip
        if isinstance(clip.frames, tuple):
            count, fps = len(clip.frames), clip.fps
        else:
            info = guard.call(probe, clip.frames, what=str(clip.location))
            count, fps = info.frame_count or 0, clip.fps or info.fps
        if not count or not fps:
            return None
        total += count / fps / 60
    return total


def _by_name(recordings: Iterable[str]) -> dict[str, str | None]:
    """Return each recording by its id, and by its name alone: None where several have it."""
    known: dict[str, str | None] = {}
    names = Counter(recording.rpartition("/")[2] for recording in recordings)
    for recording in recordings:
        name = recording.rpartition("/")[2]
        known[name] = recording if names[name] == 1 else None
        known[recording] = recording
    return known


def _recording(clip: str, known: Mapping[str, str | None], source: str) -> str:
    """Return the recording that `clip` is: by its id, else by the name at its end."""
    found = known.get(clip) or known.get(clip.rpartition("/")[2])
    if found is None:
        why = "is in several recordings" if clip.rpartition("/")[2] in known else "is in none"
        example = next(recording for recording in known.values() if recording)
        raise InputError(
            f"{source}: clip '{clip}' {why} of the truth, expected an id such as '{example}'"
        )
    return found


def _recognised(
    truth: _Truth, found: Mapping[str, Sequence[Proposal]], scheme: str
) -> Recognised | None:
    """Return how well the micro-expressions that were hit were recognised; None: nobody tried."""
    if not any(p.prediction for those in found.values() for p in those):
        return None
    table = _classed(truth, scheme)
    pairs, unknown = [], 0
    for recording, those in found.items():
        for place, proposed in match(truth.spots[recording], [p.spot for p in those]):
            index = table.index.get(truth.clips[recording][place].clip_id)
            if those[proposed].spot.kind == "micro":
                unknown += index is None
                pairs += [] if index is None else [(index, those[proposed].prediction)]
    # A prediction outside the classes, such as none, is a miss of all of them.
    place_of = {name: k for k, name in enumerate(table.classes)}
    other = len(table.classes)
    said = [place_of.get(prediction, other) for _, prediction in pairs]
    counts = metrics.confusion(np.array([k for k, _ in pairs], int), np.array(said, int), other + 1)
    f1 = metrics.f1_per_class(counts)[:other]
    return Recognised(table.classes, tuple(f1.tolist()), len(pairs), unknown)


def _classed(truth: _Truth, scheme: str) -> LabelTable:
    """Return the class of each annotated interval."""
    return labels.apply_scheme(
        scheme,
        (
            labels.Annotation(clip.clip_id, clip.corpus, clip.labels)
            for clips in truth.clips.values()
            for clip in clips
        ),
    )
