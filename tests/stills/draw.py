"""Terminals drawn as SVG that fetches nothing: a still, or a film that CSS runs."""

from __future__ import annotations

import html
from itertools import groupby
from typing import TYPE_CHECKING

from rich.ansi import AnsiDecoder
from rich.terminal_theme import TerminalTheme

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.stills.terminal import Line, Take

    Shown = tuple[Line, ...]
    Spans = list[tuple[float, float]]

_CHARACTER, _LINE, _EDGE, _BAR = 7.8, 18.0, 18.0, 34.0
_TYPING_S, _WORK_S, _LOOK_S = 0.9, 3.5, 4.0
_PER_SECOND = 8
_INK, _PAPER, _PROMPT = "#d7dde6", "#161b22", "36;1"
_THEME = TerminalTheme(
    (22, 27, 34),
    (215, 221, 230),
    [(72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65), (121, 192, 255),
     (210, 168, 255), (86, 212, 221), (215, 221, 230)],
    [(110, 118, 129), (255, 161, 152), (126, 231, 135), (242, 204, 96), (165, 214, 255),
     (226, 197, 255), (134, 227, 232), (240, 246, 252)],
)  # fmt: skip
_STYLE = (
    "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
    f"fill:{_INK};white-space:pre}}.bar{{fill:#8b949e}}.bold{{font-weight:700;fill:#f0f6fc}}"
)


def still(take: Take, columns: int) -> str:
    """Return what stands on the terminal when the command of `take` is done."""
    shown = (_prompt(take.command), *take.last)
    body = "".join(_line(line, row) for row, line in enumerate(shown))
    return _window(take.command, columns, len(shown), _STYLE, body)


def film(takes: Sequence[Take], columns: int) -> str:
    """Return all `takes` one after another: typed, at work for a few seconds, looked at.

    Who asked for less motion sees the last screen.
    """
    frames, whole = _timed(takes)
    rows = max(len(shown) for _, shown in frames)
    starts = [at for at, _ in frames]
    body, rules = [], []
    for row in range(rows):
        spans: dict[Line, Spans] = {}
        for (at, shown), until in zip(frames, [*starts[1:], whole], strict=True):
            if row < len(shown) and shown[row]:
                known = spans.setdefault(shown[row], [])
                if known and known[-1][1] == at:
                    known[-1] = (known[-1][0], until)
                else:
                    known.append((at, until))
        for number, (line, when) in enumerate(spans.items()):
            name = f"r{row}n{number}"
            stays = "" if when[-1][1] == whole else ' visibility="hidden"'
            body.append(f'<g class="{name}"{stays}>{_line(line, row)}</g>')
            rules.append(_rule(name, when, whole))
    calm = "@media(prefers-reduced-motion:reduce){g{animation:none!important}}"
    said = " && ".join(take.command for take in takes)
    return _window(said, columns, rows, _STYLE + "".join(rules) + calm, "".join(body))


def _timed(takes: Sequence[Take]) -> tuple[list[tuple[float, Shown]], float]:
    """Return every frame with its time in the film, and how long that is, seconds."""
    frames: list[tuple[float, Shown]] = []
    now = 0.0
    for take in takes:
        for typed in range(0, len(take.command) + 1, 3):
            part = now + _TYPING_S * typed / len(take.command)
            frames.append((part, (_prompt(take.command[:typed]),)))
        prompt = _prompt(take.command)
        frames.append((now + _TYPING_S, (prompt,)))
        now += _TYPING_S + 0.3
        pace = min(1.0, _WORK_S / max(take.frames[-1][0], 1e-9))
        kept = {int(at * pace * _PER_SECOND): (at * pace, shown) for at, shown in take.frames}
        frames += [(now + at, (prompt, *shown)) for at, shown in kept.values()]
        now += take.frames[-1][0] * pace + _LOOK_S
    return frames, now


def _rule(name: str, when: Spans, whole: float) -> str:
    """Return the CSS that shows a line in its time only."""
    keys = ["0%{visibility:hidden}"] if when[0][0] > 0 else []
    for start, end in when:
        keys.append(f"{100 * start / whole:.2f}%{{visibility:visible}}")
        if end < whole:
            keys.append(f"{100 * end / whole:.2f}%{{visibility:hidden}}")
    frames = f"@keyframes {name}{{{''.join(keys)}}}"
    return f"{frames}.{name}{{animation:{name} {whole:.2f}s step-end infinite}}"


def _prompt(command: str) -> Line:
    return (("$", _PROMPT), (" ", ""), *((c, "") for c in command))


def _line(line: Line, row: int) -> str:
    y = _BAR + _EDGE + _LINE * (row + 0.35)
    return "".join(_runs(line, y))


def _runs(line: Line, y: float) -> Iterator[str]:
    """Yield the pieces of a line that look alike, each held to its columns."""
    column = 0
    for codes, cells in groupby(line, key=lambda cell: cell[1]):
        said = "".join(c for c, _ in cells)
        body = said.strip(" ")
        if body:
            x = _EDGE + _CHARACTER * (column + said.index(body[0]))
            width = _CHARACTER * len(body)
            yield (
                f'<text x="{x:.1f}" y="{y:.1f}" textLength="{width:.1f}"{_look(codes)}>'
                f"{html.escape(body, quote=False)}</text>"
            )
        column += len(said)


def _look(codes: str) -> str:
    """Return class and colour of text whose style a terminal would know by `codes`."""
    if not codes:
        return ""
    (text,) = AnsiDecoder().decode(f"\x1b[{codes}mx\x1b[0m")
    style = text.spans[0].style if text.spans else text.style
    assert not isinstance(style, str)
    bold = ' class="bold"' if style.bold else ""
    if style.color is None:
        return bold
    return f'{bold} style="fill:{style.color.get_truecolor(_THEME).hex}"'


def _window(title: str, columns: int, rows: int, style: str, body: str) -> str:
    width = 2 * _EDGE + _CHARACTER * columns
    height = _BAR + 2 * _EDGE + _LINE * rows
    lamps = "".join(
        f'<circle cx="{20 + 20 * k}" cy="{_BAR / 2}" r="6" fill="{colour}"/>'
        for k, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" role="img"><title>{html.escape(title)}</title>'
        f"<style>{style}</style>"
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="{_PAPER}"/>'
        f"{lamps}{body}</svg>\n"
    )
