"""Intervals as an ELAN document, which annotators open beside their video."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mecli.report.answers import Answer

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_TYPE = "default-lt"
_MIME = {".mp4": "video/mp4", ".avi": "video/x-msvideo", ".mov": "video/quicktime"}


class Span(NamedTuple):
    """A part of the video: seconds from its start, the end exclusive, and what is said of it."""

    start_s: float
    end_s: float
    text: str


def elan(media: Path | None, tiers: Mapping[str, Sequence[Span]]) -> str:
    """Return an EAF 3.0 document on the video `media` with a tier for each name.

    Spans of one tier must not overlap. Format: the EAF schema of the Max Planck Institute
    for Psycholinguistics, Nijmegen (Wittenburg et al., LREC 2006).
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "mecli",
            "DATE": now,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_XSI}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    head = ET.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    if media is not None:
        mime = _MIME.get(media.suffix.casefold(), "unknown")
        where = {"MEDIA_URL": media.absolute().as_uri(), "MIME_TYPE": mime}
        ET.SubElement(head, "MEDIA_DESCRIPTOR", where)
    slots = _time_order(root, tiers)
    number = 0
    for name, spans in tiers.items():
        tier = ET.SubElement(root, "TIER", {"LINGUISTIC_TYPE_REF": _TYPE, "TIER_ID": name})
        for span in spans:
            number += 1
            ends = {"TIME_SLOT_REF1": slots[_ms(span.start_s)], "TIME_SLOT_REF2": slots[_end(span)]}
            outer = ET.SubElement(tier, "ANNOTATION")
            inner = ET.SubElement(
                outer, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{number}", **ends}
            )
            ET.SubElement(inner, "ANNOTATION_VALUE").text = span.text
    about = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": _TYPE, "TIME_ALIGNABLE": "true"}
    ET.SubElement(root, "LINGUISTIC_TYPE", about)
    ET.register_namespace("xsi", _XSI)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def tiers_of(answers: Sequence[Answer]) -> dict[str, list[Span]]:
    """Return what `answers` about one clip say as tiers: class, apex and doubts, by face."""
    tiers: dict[str, list[Span]] = {}
    for answer in answers:
        if answer.fps is None or answer.onset is None or answer.offset is None:
            continue
        face = f" (face {answer.face})" if answer.face > 1 else ""
        start, end = answer.onset / answer.fps, (answer.offset + 1) / answer.fps
        said = f"{answer.prediction} {answer.scores[answer.prediction]:.2f}"
        kind = f"{answer.kind or 'micro'}-expression{face}"
        tiers.setdefault(kind, []).append(Span(start, end, said))
        if answer.apex is not None:
            at = Span(answer.apex / answer.fps, (answer.apex + 1) / answer.fps, "apex")
            tiers.setdefault(f"apex{face}", []).append(at)
        if answer.unsure:
            why = ", ".join(doubt.reason for doubt in answer.unsure)
            tiers.setdefault(f"unsure{face}", []).append(Span(start, end, why))
    return tiers


def _time_order(root: ET.Element, tiers: Mapping[str, Sequence[Span]]) -> dict[int, str]:
    """Write every moment once, in order; return its id by milliseconds."""
    spans = [span for spans in tiers.values() for span in spans]
    moments = sorted({_ms(span.start_s) for span in spans} | {_end(span) for span in spans})
    order = ET.SubElement(root, "TIME_ORDER")
    slots = {}
    for number, moment in enumerate(moments, start=1):
        slots[moment] = f"ts{number}"
        slot = {"TIME_SLOT_ID": slots[moment], "TIME_VALUE": str(moment)}
        ET.SubElement(order, "TIME_SLOT", slot)
    return slots


def _ms(seconds: float) -> int:
    return round(1000 * seconds)


def _end(span: Span) -> int:
    # ELAN has whole milliseconds: a frame of a fast camera still gets one.
    return max(_ms(span.end_s), _ms(span.start_s) + 1)
