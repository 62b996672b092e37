"""What ``doctor`` found, as tables and as one JSON object."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mecli.report.here import here_rows, homely
from mecli.report.tables import Table, render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from mecli.whereabouts import Whereabouts

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: as it should be (ok), worth knowing (note), or missing."""

    topic: str
    name: str
    state: State
    said: str
    do: str = ""
    """What mends it."""


def to_json(findings: Sequence[Finding], here: Whereabouts) -> dict[str, Any]:
    """Return the findings and what lies here as one JSON object."""
    return {
        "healthy": all(one.state != "missing" for one in findings),
        "findings": [
            {
                "topic": one.topic,
                "name": one.name,
                "state": one.state,
                "said": one.said,
                "do": one.do or None,
            }
            for one in findings
        ],
        "here": here.as_json(),
    }


def to_text(findings: Sequence[Finding], here: Whereabouts, stream: TextIO | None = None) -> str:
    """Return a table for each topic, what lies here, and what has to be done."""
    topics = dict.fromkeys(one.topic for one in findings)
    blocks: list[str | Table] = [
        Table(
            [topic, "", ""],
            [[one.name, one.state, one.said] for one in findings if one.topic == topic],
            left=3,
        )
        for topic in topics
    ]
    rows = [*here_rows(here), ["next", shlex.join(here.following)]]
    blocks.append(Table(["here", homely(here.folder)], rows, left=2))
    bad = [one for one in findings if one.state == "missing"]
    todo = [f"{one.name}: {one.said}" + (f" ({one.do})" if one.do else "") for one in bad]
    verdict = f"{len(bad)} missing:" if bad else "nothing is missing"
    return render([*blocks, "\n".join([verdict, *todo])], stream)
