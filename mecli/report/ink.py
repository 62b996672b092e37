"""How plots become files and parts of pages: one style, the same bytes every time."""

from __future__ import annotations

import html
import io
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

COLUMN_IN = 3.3
"""Width of one column of a paper with two, inches."""
FORMATS = ("pdf", "svg", "png")
_PNG_DPI = 300
_POINT = 7.5


@dataclass(frozen=True, slots=True)
class Ink:
    """The colours of a plot; `series` are told apart by colour-blind eyes too."""

    text: str
    faint: str
    line: str
    paper: str
    positive: str
    negative: str
    series: tuple[str, ...]


# After Okabe and Ito, Color Universal Design, 2008.
PRINT = Ink(
    text="#1c222b", faint="#5b6470", line="#d5dae1", paper="#ffffff",
    positive="#0072b2", negative="#d55e00",
    series=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#4d4d4d"),
)  # fmt: skip
# Colours that nothing else has: in a page they become variables, which follow its theme.
_NAMED = {
    f"#0000{number:02x}": name
    for number, name in enumerate(
        ("ink", "faint", "line", "paper", "for", "against", *(f"c{k}" for k in range(1, 6))),
        start=1,
    )
}
_CODES = {name: code for code, name in _NAMED.items()}
PAGE = Ink(
    text=_CODES["ink"], faint=_CODES["faint"], line=_CODES["line"], paper=_CODES["paper"],
    positive=_CODES["for"], negative=_CODES["against"],
    series=tuple(_CODES[f"c{k}"] for k in range(1, 6)),
)  # fmt: skip


@contextmanager
def style(ink: Ink) -> Iterator[None]:
    """Let plots that are made inside have the colours of `ink` and the size of a column."""
    import matplotlib as mpl

    settings: Any = {
        "font.family": "DejaVu Sans",  # comes with matplotlib, so that it is the same everywhere
        "font.size": _POINT,
        "axes.titlesize": _POINT,
        "axes.labelsize": _POINT,
        "xtick.labelsize": _POINT,
        "ytick.labelsize": _POINT,
        "legend.fontsize": _POINT,
        "text.color": ink.text,
        "axes.labelcolor": ink.text,
        "axes.titlecolor": ink.text,
        "axes.edgecolor": ink.faint,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
        "xtick.color": ink.faint,
        "ytick.color": ink.faint,
        "xtick.labelcolor": ink.text,
        "ytick.labelcolor": ink.text,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "grid.color": ink.line,
        "grid.linewidth": 0.5,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "pdf.fonttype": 42,  # TrueType: journals refuse the other kind
    }
    with mpl.rc_context(settings):
        yield


def drawn(figure: Figure, form: str) -> bytes:
    """Return `figure` as a file of `form`, without a date or anything that changes by run."""
    import matplotlib as mpl

    text = io.BytesIO()
    about: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "svg": {"Date": None, "Creator": None},
        "png": {"Software": None},
    }
    with mpl.rc_context({"svg.hashsalt": "mecli", "svg.fonttype": "path"}):
        paper = "none" if form != "png" else PRINT.paper
        figure.savefig(text, format=form, dpi=_PNG_DPI, metadata=about[form], facecolor=paper)
    return text.getvalue()


def inline(figure: Figure, name: str, said: str) -> str:
    """Return `figure`, drawn in `PAGE`, as part of a page that a reader may only hear.

    `name` is unique on the page; `said` is what is heard.
    """
    import matplotlib as mpl

    text = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub("#[0-9a-f]{6}", lambda m: _variable(m.group()), svg)
    referred = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: m.group() if m.group(1) in referred else "", svg)
    heard = f'<svg class="plot" role="img" aria-label="{html.escape(said)}" '
    return heard + svg.removeprefix("<svg").lstrip()


def _variable(colour: str) -> str:
    return f"var(--{_NAMED[colour]})" if colour in _NAMED else colour
