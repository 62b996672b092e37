"""Tables of a page: a caption, a header, and columns that sort by click, Enter or space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.report.shell import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    Cell = str | tuple[str, float]

# Buttons come by script, so that a page without scripts promises nothing. A second click
# turns the order round; what is no number ("–") stays last.
SCRIPT = """
addEventListener('DOMContentLoaded',()=>{
const told=document.getElementById('told');
for(const table of document.querySelectorAll('table.sortable')){
const body=table.tBodies[0],heads=[...table.tHead.rows[0].cells];
heads.forEach((head,k)=>{
const button=document.createElement('button'),name=head.textContent;
button.type='button';button.append(...head.childNodes);head.append(button);
head.setAttribute('aria-sort','none');
button.addEventListener('click',()=>{
const up=head.getAttribute('aria-sort')!=='ascending',sign=up?1:-1;
const value=row=>{const cell=row.cells[k];
return cell.dataset.value===undefined?cell.textContent:parseFloat(cell.dataset.value)};
const rows=[...body.rows].sort((a,b)=>{const x=value(a),y=value(b);
if(typeof x!==typeof y)return typeof x==='number'?-1:1;
return sign*(typeof x==='number'?x-y:x.localeCompare(y,'en',{numeric:true}))});
heads.forEach(other=>other.setAttribute('aria-sort','none'));
head.setAttribute('aria-sort',up?'ascending':'descending');
body.append(...rows);
told.textContent=table.caption.textContent+': sorted by '+name+', '
+(up?'ascending':'descending')})})}
addEventListener('beforeprint',()=>{for(const more of document.querySelectorAll('details'))
more.open=true})})
"""
TOLD = '<p id="told" class="heard" role="status"></p>\n'
"""Where the script says to a screen reader how a table is sorted now."""


def table(
    caption: str, header: Sequence[str], rows: Sequence[Sequence[Cell]], *, sort: bool = False
) -> str:
    """Return a table whose first column names its rows; a cell may bring the number it shows."""
    heads = "".join(
        f'<th scope="col"{_right(place)}>{text(name)}</th>' for place, name in enumerate(header)
    )
    lines = [f"<tr>{''.join(_cell(cell, k) for k, cell in enumerate(row))}</tr>" for row in rows]
    kind = ' class="sortable"' if sort else ""
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="{text(caption)}">'
        f"<table{kind}><caption>{text(caption)}</caption><thead><tr>{heads}</tr></thead>\n<tbody>"
        + "\n".join(lines)
        + "</tbody></table></div>\n"
    )


def _cell(cell: Cell, place: int) -> str:
    words, value = cell if isinstance(cell, tuple) else (cell, None)
    known = "" if value is None else f' data-value="{value:.6g}"'
    if place == 0:
        return f'<th scope="row"{known}>{text(words)}</th>'
    return f"<td{_right(place)}{known}>{text(words)}</td>"


def _right(place: int) -> str:
    return ' class="n"' if place else ""
