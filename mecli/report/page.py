"""Answers as one self-contained page: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.alignment import apply, warp
from mecli.report import svg
from mecli.report.answers import MOMENTS, NOTHING, verdict, watched_text
from mecli.report.colours import flow_colours, flow_scale, legend, resize
from mecli.report.pictures import boxed
from mecli.report.shell import CLOSING, jpeg_uri, opening, png_uri, text
from mecli.report.tables import count
from mecli.rois import FACE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from mecli.records import ClipRecord
    from mecli.report.answers import Answer

    Image = NDArray[np.uint8]

_LEGEND_PX = 84


def fragment(answer: Answer, record: ClipRecord, frames: Mapping[int, Image], name: str) -> str:
    """Return the part of the page on one answer.

    `frames` are the source frames at onset, apex and offset by position; a record that was
    made of flow images has none, and no filmstrip then.
    """
    best = answer.scores[answer.prediction]
    where = f", face {answer.face}" if answer.face > 1 else ""
    kind = f"{answer.kind}-expression: " if answer.kind else ""
    when = f", {_span(answer)}" if answer.kind else ""
    tag = '<span class="tag">unsure</span>' if answer.unsure else ""
    scores = svg.bars(answer.scores, "class scores", answer.prediction, full=1.0)
    strongest = max(answer.rois, key=lambda name: answer.rois[name])
    rois = svg.bars(answer.rois, "what each region contributes", strongest)
    parts = [
        f'<article id="{name}"><h2>{text(answer.clip)}{where}{when}</h2>',
        f'<p class="verdict">{kind}{text(answer.prediction)} {best:.0%}{tag}</p>',
        _doubts(answer),
        f'<div class="row">{_filmstrip(answer, record, frames)}{_flow(record)}</div>',
        f'<div class="row"><section><h3>Class scores{_calibration(answer)}</h3>{scores}</section>'
        f"<section><h3>What each region contributes ({answer.attribution})</h3>{rois}</section>"
        f"{_template(answer, record)}</div>",
        _curve(answer, record),
        _facts(answer),
        "</article>\n",
    ]
    return "\n".join(parts)


def watched(answers: Sequence[Answer], name: str) -> str:
    """Return the part of the page on a long video: where in it the `answers` on one face are.

    `name` is its anchor, "" for a part that nobody links to.
    """
    first = answers[0]
    seen = first.watched
    assert seen is not None
    where = f", face {first.face}" if first.face > 1 else ""
    spans = [
        (a.onset, a.onset if a.apex is None else a.apex, a.offset, f"{a.prediction} ({a.kind})")
        for a in answers
        if a.onset is not None and a.offset is not None
    ]
    found = count(len(spans), "expression") if spans else "no expression found"
    drawn = svg.curve(
        seen.curve, 0, spans, first.fps, "motion through the video", seen.step, " × noise"
    )
    anchored = f' id="{name}"' if name else ""
    return (
        f"<article{anchored}><h2>{text(first.clip)}{where}</h2>\n"
        f'<p class="verdict">{found}</p><p class="faint">{text(watched_text(first))}</p>\n'
        f'<div class="row"><section><h3>Motion of the face, multiples of its noise</h3>{drawn}'
        "</section></div></article>\n"
    )


def page(
    title: str, named: Sequence[tuple[str, Answer]], fragments: Iterable[str]
) -> Iterator[str]:
    """Yield the page: an overview of the answers, `named` by anchor, then `fragments`."""
    yield (
        f"{opening(title)}<main>\n<h1>{text(title)}</h1>\n"
        '<p class="faint">A micro-expression is a movement, not a lie or a thought. Frames count '
        "from 0; * was found by mecli.</p>\n"
    )
    yield _overview(named)
    yield from fragments
    yield f"</main>\n{CLOSING}"


def anchor(place: int, number: int) -> str:
    """Return the name by which the overview links to answer `number` about clip `place`."""
    return f"clip{place}-{number}"


def _overview(named: Sequence[tuple[str, Answer]]) -> str:
    rows = []
    for name, answer in named:
        if answer.error:
            rows.append(
                f'<tr><th scope="row">{text(answer.clip)}</th><td class="error" colspan="4">'
                f"{text(answer.error)}</td></tr>"
            )
            continue
        frames = " – ".join(_moment(answer, m) for m in MOMENTS)
        if answer.kind:
            frames = "–" if answer.kind == NOTHING else f"{frames} ({_span(answer)})"
        why = ", ".join(doubt.reason for doubt in answer.unsure) or "–"
        face = f", face {answer.face}" if answer.face > 1 else ""
        best = f"{answer.scores[answer.prediction]:.2f}" if answer.scores else "–"
        rows.append(
            f'<tr><th scope="row"><a href="#{name}">{text(answer.clip)}{face}</a></th>'
            f"<td>{text(verdict(answer))}</td>"
            f"<td>{best}</td><td>{frames}</td><td>{why}</td></tr>"
        )
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("clip", "prediction", "score", "onset – apex – offset", "unsure")
    )
    caption = "What is said of each clip"
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="{caption}"><table><caption>'
        f"{caption}</caption><thead><tr>{head}</tr></thead>\n<tbody>"
        + "\n".join(rows)
        + "</tbody></table></div>\n"
    )


def _moment(answer: Answer, moment: str) -> str:
    return f"{getattr(answer, moment)}{'*' if moment in answer.found else ''}"


def _span(answer: Answer) -> str:
    """Return from when to when an interval of a long video lasts."""
    return f"{answer.seconds('onset'):.2f} to {answer.seconds('offset'):.2f} s"


def _doubts(answer: Answer) -> str:
    items = [f"<li><b>{d.reason}</b>: {text(d.detail)}</li>" for d in answer.unsure]
    items += [f"<li>{text(issue)}</li>" for issue in answer.issues]
    if not items:
        return ""
    return f'<div class="doubts">Reasons for doubt<ul>{"".join(items)}</ul></div>'


def _calibration(answer: Answer) -> str:
    return "" if answer.calibrated else " (not calibrated)"


def _filmstrip(answer: Answer, record: ClipRecord, frames: Mapping[int, Image]) -> str:
    figures = []
    for moment in MOMENTS:
        position = getattr(answer, moment)
        if position not in frames:
            continue
        face = warp(frames[position], record.transforms[position - record.first_frame])
        seconds = answer.seconds(moment)
        when = "" if seconds is None else f", {seconds:.2f} s"
        said = f"{moment}, frame {_moment(answer, moment)}{when}"
        figures.append(
            f'<figure><img alt="aligned face at the {said}" src="{jpeg_uri(face)}">'
            f"<figcaption>{said}</figcaption></figure>"
        )
    if not figures:
        return ""
    return f'<section><h3>Aligned face</h3><div class="strip">{"".join(figures)}</div></section>'


def _flow(record: ClipRecord) -> str:
    full = flow_scale(record)
    picture = boxed(flow_colours(resize(record.apex_flow, FACE_SIZE), full), record, (90, 90, 90))
    return (
        '<section><h3>Flow, onset to apex</h3><div class="flow">'
        f'<figure class="strip"><img alt="colours of the flow: hue is direction, brightness size" '
        f'src="{png_uri(picture)}"></figure><figure><img class="legend" '
        f'alt="disc of all directions" src="{png_uri(_disc())}">'
        f"<figcaption>bright: {full:.1f} px</figcaption></figure></div></section>"
    )


def _disc() -> Image:
    """Return the legend with an alpha channel, so that it lies on light and dark paper."""
    half = (_LEGEND_PX - 1) / 2
    y, x = np.mgrid[0:_LEGEND_PX, 0:_LEGEND_PX]
    inside = (np.hypot(x - half, y - half) <= half).astype(np.uint8) * 255
    return np.dstack([legend(_LEGEND_PX), inside])


def _template(answer: Answer, record: ClipRecord) -> str:
    if not len(record.landmarks) or not len(record.transforms):
        return ""
    points = apply(record.transforms[0], record.landmarks[0])
    drawn = svg.face(points, record.roi_boxes, answer.rois, "regions on the face")
    return f"<section><h3>Where they are</h3>{drawn}</section>"


def _curve(answer: Answer, record: ClipRecord) -> str:
    if len(record.curve) < 2 or answer.onset is None or answer.offset is None:
        return ""
    apex = answer.onset if answer.apex is None else answer.apex
    spans = [(answer.onset, apex, answer.offset, answer.prediction)]
    drawn = svg.curve(record.curve, record.first_frame, spans, answer.fps, "motion since the onset")
    title = "Motion since the onset, px of the face"
    return f'<div class="row"><section><h3>{title}</h3>{drawn}</section></div>'


def _facts(answer: Answer) -> str:
    rate = "unknown" if answer.fps is None else f"{answer.fps:.4g} frames/s"
    facts: list[tuple[str, Any]] = [
        ("source", answer.source),
        ("frame rate", rate),
        ("landmarks", answer.landmarker or "none"),
        *((name.replace("_", " "), f"{value:.3g}") for name, value in answer.quality.items()),
    ]
    rows = "".join(
        f'<tr><th scope="row">{text(n)}</th><td>{text(str(v))}</td></tr>' for n, v in facts
    )
    caption = f"Source and quality of {text(answer.clip)}"
    return (
        "<details><summary>Source and quality</summary>"
        f"<table><caption>{caption}</caption>{rows}</table></details>"
    )
