"""Flow images whose folders say the class, without any label table.

``006/u_test/0/006_1_2.png`` is how ready-made folds are passed on (STSTNet, HTNet), each clip
once as tested and many times as trained on; ``negative/006_006_1_2.png`` is the plain form.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mecli.corpora.label_tables import Labelled, class_of, subject_as_called

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mecli.corpora.frames import Disk

_DEPTH = 3
_TESTED = "u_test"
# How the corpora of the composite call their people.
_CORPORA = {"casme2": r"sub\d{1,2}", "smic": r"s\d{1,2}", "samm": r"\d{3}"}
_PERSON = re.compile("|".join(f"(?P<{corpus}>{form})" for corpus, form in _CORPORA.items()))


def classed(disk: Disk, root: Path) -> Iterator[Labelled]:
    """Yield a row for every clip whose folders say subject and class; none in other layouts."""
    for folder in disk.walk(root, _DEPTH):
        above = folder.relative_to(root).parts[:-1]
        if folder == root or class_of(folder.name) is None:
            continue
        if not above:
            yield from _rows(disk, root, folder, "")
        elif len(above) == 2 and above[1].casefold() == _TESTED:
            yield from _rows(disk, root, folder, above[0])


def _rows(disk: Disk, root: Path, folder: Path, person: str) -> Iterator[Labelled]:
    """Yield a row for every image in the `folder` of a class, of `person` or whom it names."""
    stems = {name: name.rpartition(".")[0].strip() for name in disk.listing(folder).images}
    known = set(stems.values())
    for name, stem in stems.items():
        row = _row(root, folder / name, person or stem.partition("_")[0], stem)
        main = re.sub(r"_[1-9]\d?$", "", stem)
        if row and (main == stem or main not in known):
            yield row


def _row(root: Path, path: Path, person: str, stem: str) -> Labelled | None:
    found = _PERSON.fullmatch(person.casefold())
    rest = stem.removeprefix(f"{person}_")
    # A number alone is a frame's: 006_05562.
    if found is None or not found.lastgroup or rest.isdecimal():
        return None
    corpus = found.lastgroup
    # Clips of SAMM and SMIC are called after their people, those of CASME II are not.
    clip = rest if corpus == "casme2" or rest.startswith(person) else stem
    word = path.parent.name
    return Labelled(
        table=root,
        number=0,
        corpus=corpus,
        subject=subject_as_called(corpus, person),
        clip=clip,
        label=class_of(word),
        word=word,
        written=person,
        file=str(path.relative_to(root)),
    )
