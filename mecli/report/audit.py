"""What ``audit`` found: one verdict per check, as a table and as one JSON object."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mecli.report.tables import Table, count, render

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

Verdict = Literal["ok", "warning", "leak", "not checked"]
_MANY = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw, what it should have seen, and what to do about a difference."""

    check: str
    verdict: Verdict
    got: str
    expected: str = ""
    advice: str = ""
    items: tuple[str, ...] = ()
    """The clips, pairs or fields it is about."""
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Audit:
    """All findings about one run or one set of caches."""

    source: str
    kind: Literal["run", "cache"]
    clips: int
    persons: int
    folds: int
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether no check found a leak; warnings are for the reader to judge."""
        return not any(f.verdict == "leak" for f in self.findings)


def to_json(audit: Audit) -> dict[str, Any]:
    """Return everything that was checked as one object."""
    return {
        "source": audit.source,
        "kind": audit.kind,
        "clean": audit.clean,
        "clips": audit.clips,
        "subjects": audit.persons,
        "folds": audit.folds,
        "findings": [
            {
                "check": f.check,
                "verdict": f.verdict,
                "got": f.got,
                "expected": f.expected,
                "advice": f.advice,
                "items": list(f.items),
                "figures": dict(f.figures),
            }
            for f in audit.findings
        ],
    }


def to_text(audit: Audit, stream: TextIO | None = None) -> str:
    """Return a row per check, then what each leak or warning is about, then the verdict."""
    rows = [[f.check, f.verdict, f.got, f.expected or "–"] for f in audit.findings]
    about = f"{audit.source}: {count(audit.clips, 'clip')} of {count(audit.persons, 'subject')}"
    blocks: list[str | Table] = [
        f"{about} in {count(audit.folds, 'fold')}",
        Table(["audit", "verdict", "got", "expected"], rows, left=4),
    ]
    blocks += [_details(f) for f in audit.findings if f.verdict in {"leak", "warning"}]
    return render([*blocks, _verdict(audit)], stream)


def _details(finding: Finding) -> str:
    lines = [f"{finding.check}: {finding.advice}"]
    lines += [f"  {item}" for item in finding.items[:_MANY]]
    if len(finding.items) > _MANY:
        lines.append(f"  … and {len(finding.items) - _MANY} more (all with --json)")
    return "\n".join(lines)


def _verdict(audit: Audit) -> str:
    counts = Counter(f.verdict for f in audit.findings)
    parts = [count(counts["leak"], "leak"), count(counts["warning"], "warning")]
    if counts["not checked"]:
        parts.append(f"{counts['not checked']} not checked")
    return f"{'clean' if audit.clean else 'LEAKED'}: {', '.join(parts)}"
