"""What ``evaluate --spotting`` does: spotted intervals against the annotation of long videos."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
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
    from typing import TextIO

    from mecli.clips import Clip
    from mecli.corpora.recordings import Recording
    from mecli.proposals import Proposal, Video

    Name = tuple[int, str]

SCHEME = "megc2019"
_NOTHING = "none"
"""The class of a clip without expression."""


@dataclass(frozen=True, slots=True)
class SpotScoreOptions:
    """Where the truth is, and the label scheme that predictions of spotted intervals are of."""

    truth: Path | tuple[Path, ...]
    """A corpus folder or sheet, or several: one database."""
    corpus: str | None = None
    labels: str = SCHEME


@dataclass(slots=True)
class _Truth:
    """The annotated intervals of all recordings, each named by its place in `truth` and its id."""

    clips: dict[Name, list[Clip]] = field(default_factory=dict)
    spots: dict[Name, list[Spot]] = field(default_factory=dict)
    """Tell of the same places as `clips`."""
    files: dict[Path, Name] = field(default_factory=dict)
    minutes: float | None = 0.0
    notes: list[str] = field(default_factory=list)


def score_spots(
    answers: str | Path, options: SpotScoreOptions, stdin: TextIO | None = None
) -> SpotScores:
    """Score the intervals in `answers` (JSON, CSV or ``-``) against `options.truth`.

    A recording without a proposal counts as one in which nothing was spotted. Which one a
    proposal is in its file says, or else its id or name. Raises `InputError` for answers or
    a truth that cannot be read, and for a proposal in a recording the truth does not know.
    """
    proposals = read_proposals(answers, stdin)
    places = options.truth if isinstance(options.truth, tuple) else (options.truth,)
    truth = _Truth()
    for number, place in enumerate(places):
        _add(truth, number, place, options.corpus)
    found: dict[Name, list[Proposal]] = {name: [] for name in truth.spots}
    known = _by_name(truth.spots)
    for proposal in proposals.spots:
        found[_recording(proposal.video, truth, known, proposals.source)].append(proposal)
    told = {name for name, those in found.items() if those}
    for other in (*proposals.failed, *proposals.empty):
        told.add(_recording(other, truth, known, proposals.source))
    spotted = {name: [p.spot for p in those] for name, those in found.items()}
    if proposals.failed:
        lost = f"{len(proposals.failed)} recordings were not searched: nothing found there"
        truth.notes.append(lost)
    if silent := len(truth.spots) - len(told):
        untold = f"{silent} of {len(truth.spots)} recordings are not in {proposals.source}"
        truth.notes.append(f"{untold}: counted as searched in vain")
    return SpotScores(
        source=proposals.source,
        truth=tuple(map(str, places)),
        recordings=len(truth.spots),
        minutes=truth.minutes,
        tallies=tally(truth.spots, spotted),
        recognised=_recognised(truth, found, options.labels),
        notes=tuple(truth.notes),
    )


def _add(truth: _Truth, number: int, place: Path, corpus: str | None) -> None:
    """Add the recordings of the corpus or sheet at `place`, which is `number` of all."""
    found = recordings(read_sources([place], corpus, whole=True))
    lost = next((r.clip for r in found if not r.clip.frames), None)
    if lost is not None:
        raise InputError(
            f"{place}: clip {lost.clip_id}: its frames are not on disk, so that nobody "
            "knows in which recording it is; put them beside the sheet"
        )
    left_out = 0
    for recording in found:
        name = number, recording.clip.clip_id
        file = _absolute(recording.clip.location)
        if file in truth.files:
            raise InputError(f"{place}: {recording.clip.location} is named twice as the truth")
        truth.files[file] = name
        truth.clips[name], truth.spots[name] = [], []
        for clip in recording.intervals:
            if clip.onset is not None and clip.offset is not None and clip.onset <= clip.offset:
                truth.clips[name].append(clip)
                truth.spots[name].append(Spot(clip.onset, clip.offset, _kind(clip)))
            elif clip.labels.get("emotion") != _NOTHING:
                left_out += 1
    if left_out:
        truth.notes.append(f"{left_out} intervals without onset or offset are left out")
    minutes = _minutes(found)
    before, truth.minutes = truth.minutes, None
    if before is not None and minutes is not None:
        truth.minutes = before + minutes


def _absolute(location: str) -> Path:
    """Return the place of a file or folder, links and ``..`` followed; it need not be there."""
    try:
        return Path(location).resolve()
    except (OSError, RuntimeError, ValueError):
        # What cannot be a path is the name of none.
        return Path(location)


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


def _by_name(recordings: Iterable[Name]) -> dict[str, Name | None]:
    """Return each recording by its id, and by its name alone: None where several have it."""
    known: dict[str, Name | None] = {}
    ids = [(name[1], name) for name in recordings]
    for called in ([(i.rpartition("/")[2], name) for i, name in ids], ids):
        often = Counter(text for text, _ in called)
        known |= {text: name if often[text] == 1 else None for text, name in called}
    return known


def _recording(video: Video, truth: _Truth, known: Mapping[str, Name | None], source: str) -> Name:
    """Return the recording that `video` is: by its file, its id, or the name at its end."""
    last = video.clip.rpartition("/")[2]
    found = truth.files.get(_absolute(video.source)) if video.source else None
    found = found or known.get(video.clip) or known.get(last)
    if found is None:
        why = "is in several recordings" if {video.clip, last} & {*known} else "is in none"
        example = next(iter(truth.spots))[1]
        raise InputError(
            f"{source}: clip '{video.clip}' {why} of the truth, expected an id such as "
            f"'{example}', or the file as 'source'"
        )
    return found


def _recognised(
    truth: _Truth, found: Mapping[Name, Sequence[Proposal]], scheme: str
) -> Recognised | None:
    """Return how well the micro-expressions that were hit were recognised; None: nobody tried."""
    if not any(p.prediction for those in found.values() for p in those):
        return None
    classes, index_of = _classed(truth, scheme)
    pairs, unknown = [], 0
    for name, those in found.items():
        for place, proposed in match(truth.spots[name], [p.spot for p in those]):
            index = index_of.get((name[0], truth.clips[name][place].clip_id))
            if those[proposed].spot.kind == "micro":
                unknown += index is None
                pairs += [] if index is None else [(index, those[proposed].prediction)]
    # A prediction outside the classes, such as none, is a miss of all of them.
    place_of = {name: k for k, name in enumerate(classes)}
    other = len(classes)
    said = [place_of.get(prediction, other) for _, prediction in pairs]
    counts = metrics.confusion(np.array([k for k, _ in pairs], int), np.array(said, int), other + 1)
    f1 = metrics.f1_per_class(counts)[:other]
    return Recognised(classes, tuple(f1.tolist()), len(pairs), unknown)


def _classed(truth: _Truth, scheme: str) -> tuple[tuple[str, ...], dict[Name, int]]:
    """Return the classes, and the class of each annotated interval by its place and clip id."""
    classes: tuple[str, ...] = ()
    index: dict[Name, int] = {}
    for number in sorted({number for number, _ in truth.clips}):
        clips = [c for (place, _), those in truth.clips.items() if place == number for c in those]
        table = labels.apply_scheme(
            scheme, (labels.Annotation(clip.clip_id, clip.corpus, clip.labels) for clip in clips)
        )
        classes = table.classes
        index |= {(number, clip): found for clip, found in table.index.items()}
    return classes, index
