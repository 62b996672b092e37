"""A folder of flow images beside a label table, as the field passes on prepared data.

One image a clip shows its flow from onset to apex: red is u, green is v, blue the optical
strain, each scaled to its own range. Files are called ``<subject>_<clip> .png`` (a blank
before the dot is usual); ``<subject>_<clip>_1 .png`` and so on are further images.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, ClassVar

from mecli.clips import Clip, check_part, without_zeros
from mecli.corpora.flow_files import FlowFiles
from mecli.corpora.flow_folders import classed
from mecli.corpora.frames import Disk, natural_key
from mecli.corpora.label_tables import (
    COLUMNS,
    class_of,
    corpus_of,
    label_table,
    label_tables,
    rows_of,
)
from mecli.corpora.reading import Reading
from mecli.errors import InputError
from mecli.schemes.megc2019 import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence, Set
    from pathlib import Path

    from mecli.corpora.flow_files import Motion
    from mecli.corpora.label_tables import Labelled
    from mecli.corpora.sheets import Table

_TABLE_DEPTH = 2
# Releases of ready folds hold each clip once as tested, and many times as trained on.
_TRAINED = {"u_train", "train"}


class FlowArchive:
    """Flow images of the MEGC 2019 composite; clip ids keep the corpus of the table."""

    name = "flow-archive"
    title = "archive of flow images"
    paper = "See et al., MEGC 2019: the second facial micro-expressions grand challenge"
    doi = "10.1109/FG.2019.8756611"
    licence = "that of the corpora behind it: research only, granted by their owners"
    sheet_name = "a CSV corpus,subject,clip,label[,file] beside <subject>_<clip> .png"
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = COLUMNS

    def __init__(self, as_published: bool = False, whole: bool = False) -> None:
        self.as_published = as_published
        self.whole = whole

    def has_sheet(self, disk: Disk, root: Path) -> bool:
        """Whether a label table lies beside images, or above files that it names."""
        for table in label_tables(disk, root, _TABLE_DEPTH):
            inside = disk.listing(table.sheet.path.parent)
            if "corpus" in table.fields and (
                inside.images or any(disk.listing(f).images for f in inside.folders[:1])
            ):
                return True
            files, rows = _files_of(disk, root, table), list(rows_of(table))
            if any(_candidates(files, row, _people(rows)) for row in rows):
                return True
        return False

    def has_layout(self, disk: Disk, root: Path) -> bool:
        """Whether folders of classes hold images that are called after people."""
        return any(classed(disk, root))

    def is_sheet_name(self, stem: str) -> bool:
        """No file name is this table's own."""
        return False

    def inspect(self, root: Path, sheet: Path | None = None, disk: Disk | None = None) -> Reading:
        """Read the clips of all label tables below `root`, or of `sheet`, and their images.

        Raises `InputError` where there is none, and where neither a column nor a name says
        of which corpus a clip is.
        """
        disk = disk or Disk()
        named = [label_table(sheet)] if sheet else label_tables(disk, root, _TABLE_DEPTH)
        tables = [table for table in named if table]
        clips: dict[str, Clip] = {}
        notes: list[str] = []
        for folder in dict.fromkeys(table.sheet.path.parent for table in tables):
            mine = [table for table in tables if table.sheet.path.parent == folder]
            rows = [row for table in mine for row in rows_of(table)]
            notes += _read_rows(_files_of(disk, root, mine[0]), rows, clips)
        if not tables:
            rows = [] if sheet else list(classed(disk, root))
            notes += _read_rows(FlowFiles(disk, root), rows, clips) if rows else ()
        if not clips:
            raise InputError(f"{sheet or root}: no label table found, expected {self.sheet_name}")
        notes += disk.closed.values()
        ordered = sorted(clips.values(), key=lambda c: c.clip_id)
        return Reading(
            self.name, root, ordered, tuple(notes), tables[0].sheet.path if tables else None
        )


def _files_of(disk: Disk, root: Path, table: Table) -> FlowFiles:
    """Return the maps below the table's folder, or below `root` where it lies apart from them."""
    folder = table.sheet.path.parent
    files = FlowFiles(disk, folder)
    return files if files.motions or not folder.is_relative_to(root) else FlowFiles(disk, root)


def _read_rows(files: FlowFiles, rows: Sequence[Labelled], clips: dict[str, Clip]) -> list[str]:
    """Add the clips of `rows` to `clips`; return what belongs to no clip."""
    people = _people(rows)
    found = [_candidates(files, row, people) for row in rows]
    claims: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for row, motions in zip(rows, found, strict=True):
        claims[motions[0].parts if motions else ()].add(row.clip_id)
    notes: list[str] = []
    used: set[Path] = set()
    for row, motions in zip(rows, found, strict=True):
        issues = list(_doubts(row, motions, claims))
        shown = [] if issues else [motions[0], *files.further(motions[0], claims.keys())]
        used.update(path for motion in shown for path in (*motion.files, *motion.beside))
        clip = _clip(row, shown, issues)
        first = clips.setdefault(clip.clip_id, clip)
        if first is not clip:
            other = "" if first.labels == clip.labels else ", with another label"
            notes.append(f"row {row.number} was not read: it is {clip.clip_id} once more{other}")
    left = (m for m in files.motions if not _TRAINED & set(m.folders))
    spare = {path.name for motion in left for path in motion.files if path not in used}
    return notes + [f"{name} is on disk but in no row" for name in sorted(spare, key=natural_key)]


def _people(rows: Sequence[Labelled]) -> Set[str]:
    """Return how the folders of subjects may be called."""
    return {without_zeros(word.casefold()) for row in rows for word in (row.written, row.subject)}


def _candidates(files: FlowFiles, row: Labelled, people: Set[str]) -> list[Motion]:
    """Return the maps that may be a row's own: one, or none, or several alike."""
    if row.file:
        return _likely(files.at(row.file), row)
    whose = dict.fromkeys((row.written, row.subject))
    names = [f"{row.corpus}_{who}_{row.clip}" for who in whose]
    names += [f"{who}_{row.clip}" for who in whose]
    for name in names:
        found = files.called(name.casefold())
        if found:
            return _likely(found, row)
    others = people - {without_zeros(word.casefold()) for word in whose}
    # Files called after the clip alone, but not those of other people's folders.
    found = [
        motion
        for motion in files.called(row.clip.casefold())
        if not others & set(map(without_zeros, motion.folders))
    ]
    return _likely(found, row)


def _likely(motions: list[Motion], row: Labelled) -> list[Motion]:
    """Return those of several maps that lie in folders of the row's corpus, then of its class."""
    kept = [m for m in motions if not _TRAINED & set(m.folders)] or motions
    kept = [m for m in kept if row.corpus in map(corpus_of, m.folders)] or kept
    return [m for m in kept if row.label in map(class_of, m.folders)] or kept


def _doubts(
    row: Labelled, motions: Sequence[Motion], claims: Mapping[tuple[str, ...], Set[str]]
) -> Iterator[str]:
    """Say why it is not known which map is a row's."""
    where = row.table.parent
    if not motions:
        named = PureWindowsPath(row.file).stem.strip() or f"{row.written}_{row.clip}"
        yield f"no image '{named} .png' in {where}"
    elif len(motions) > 1:
        both = " and ".join("/".join(motion.parts) for motion in motions[:2])
        yield f"no image is this clip's for sure in {where}: {len(motions)} fit, {both}"
    elif len(claims[motions[0].parts]) > 1:
        rivals = sorted(claims[motions[0].parts] - {row.clip_id})
        yield f"no image of its own in {where}: {'/'.join(motions[0].parts)} fits {rivals[0]} too"


def _clip(row: Labelled, motions: Sequence[Motion], issues: list[str]) -> Clip:
    if row.label is None and not row.word.isalpha():
        issues.append(f"label '{row.word}' is none of 0, 1, 2 or {', '.join(CLASSES)}")
    labels = {"emotion": row.label, "megc2019": row.label} if row.label else {}
    return Clip(
        corpus=check_part(row.corpus, "corpus"),
        subject=check_part(row.subject, "subject"),
        name=check_part(row.clip, "clip"),
        frames=tuple(path for motion in motions for path in motion.files),
        labels=labels or ({"emotion": row.word} if row.word.isalpha() else {}),
        issues=tuple(issues),
        holds_flow=True,
        apart=bool(motions) and len(motions[0].files) > 1,
    )
