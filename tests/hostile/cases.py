"""Sheets, caches, checkpoints and runs that lie: each a command and a word of its answer."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from mecli.cache import add, merge
from tests.fuzz.readers import READERS
from tests.records import make_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OPTIONS = {"steps": 4, "flow": "dis"}
Case = tuple[list[str], str]


def cases(folder: Path) -> Iterator[tuple[str, Case]]:
    """Write each into `folder` and yield its name, the words of the command and of its answer."""
    for group in (_tables, _workbooks, _caches, _checkpoints, _runs):
        place = folder / group.__name__[1:]
        place.mkdir()
        for name, case in group(place).items():
            yield f"{group.__name__[1:]}: {name}", case


def _tables(folder: Path) -> dict[str, Case]:
    head = "path,subject,clip\n"
    texts: dict[str, tuple[bytes, str]] = {
        "utf-16": ((head + "a.mp4,p,c\n").encode("utf-16"), "is not UTF-8"),
        "binary": (b"\xff\xfe\x00\x01" * 99, "is not UTF-8"),
        "nothing": (b"", "is no manifest"),
        "header only": (head.encode(), "names no clip"),
        "out of the folder": (f"{head}a.mp4,p,../../x\n".encode(), "cannot be part of a clip id"),
        "subject that is a path": (f"{head}a.mp4,/etc,c\n".encode(), "cannot be part of a clip id"),
        "control characters": (f"{head}a.mp4,p\x1b[2J,c\n".encode(), "cannot be part"),
        "same id twice": (f"{head}a.mp4,p,c\nb.mp4,p,c\n".encode(), "name each clip once"),
        "name without end": (f"{head}{'x' * 5000}.mp4,p,c\n".encode(), "File name too long"),
        "cell without end": (f"{head}{'x' * 200_000},p,c\n".encode(), "larger than field limit"),
        "too many rows": (b"path\n" + b"a.mp4\n" * 1_000_001, "1000002 rows"),
        "misspelled": (b"paht,subject\na.mp4,p\n", "is no manifest"),
    }
    found: dict[str, Case] = {}
    for name, (data, word) in texts.items():
        path = folder / f"{name.replace(' ', '-')}.csv"
        path.write_bytes(data)
        found[name] = (["extract", str(path), "--list"], word)
    os.mkfifo(folder / "fifo.csv")
    found["pipe"] = (["extract", str(folder / "fifo.csv"), "--list"], "neither a regular file")
    (folder / "circle").mkdir()
    (folder / "circle" / "again").symlink_to(folder / "circle")
    found["folder in itself"] = (["extract", str(folder / "circle"), "--list"], "holds no images")
    found["device"] = (["extract", "/dev/zero", "--list"], "neither a regular file")
    found["no such name"] = (["extract", "x" * 5000, "--list"], "File name too long")
    return found


def _workbooks(folder: Path) -> dict[str, Case]:
    with zipfile.ZipFile(io.BytesIO(READERS["sheet"].seeds()["s.xlsx"])) as archive:
        sound = {name: archive.read(name) for name in archive.namelist()}
    sheet = next(n for n in sound if "worksheets/sheet1" in n)
    laughs = b'<!DOCTYPE l [<!ENTITY a "ha">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + k, b"&%c;" % (97 + k) * 10) for k in range(9)
    )
    entity = b'<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    cell = b"<worksheet><sheetData><row><c t='inlineStr'><is><t>&%s;</t></is></c></row></sheetData>"
    changed: dict[str, tuple[dict[str, bytes], str]] = {
        "zip bomb": ({sheet: b" " * (300 << 20)}, "unpacks to"),
        "entities that multiply": ({sheet: laughs + b"]>" + cell % b"j"}, ""),
        "entity of another file": ({sheet: entity + cell % b"x"}, ""),
        "lone cell far away": (
            {sheet: sound[sheet].replace(b'r="A1"', b'r="XFD1048576"', 1)}, "spans 1048576 rows",
        ),
        "lone cell in other quotes": (
            {sheet: sound[sheet].replace(b'r="A1"', b"r='XFD1048576'", 1)}, "crashed its reader",
        ),
        "merged cells that overlap": (
            {sheet: b"<worksheet><sheetData>" + b"<row><c><v>1</v></c></row>" * 999
             + b"</sheetData><mergeCells>" + b"<mergeCell ref='A1:A999'/>" * 99_999
             + b"</mergeCells></worksheet>"}, "overlap",
        ),
        "member outside": ({"../../evil.xml": b"<x/>", sheet: b"<x/>"}, ""),
        "no sheet": ({sheet: b""}, ""),
    }  # fmt: skip
    found: dict[str, Case] = {}
    for name, (members, word) in changed.items():
        path = folder / f"{name.replace(' ', '-')}.xlsx"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in {**sound, **members}.items():
                archive.writestr(member, data)
        found[name] = (["extract", str(path), "--corpus", "casme2", "--list"], word)
    for name, data in (
        ("no zip.xlsx", b"PK\x03\x04" + bytes(500)),
        ("noise.xls", b"\xd0\xcf" * 99),
    ):
        (folder / name).write_bytes(data)
        words = ["extract", str(folder / name), "--corpus", "casme2", "--list"]
        found[name] = (words, "cannot be read as a workbook")
    return found


def _caches(folder: Path) -> dict[str, Case]:
    changes: dict[str, tuple[Callable[[Any, Any], object], str]] = {
        "link to another file": (_external_link, "is a link"),
        "data in another file": (_external_data, "stored in a way"),
        "virtual data of itself": (_virtual, "stored in a way"),
        "soft link": (_soft_link, "is a link"),
        "group inside itself": (_circle, "is inside twice"),
        "name that leads out": (_lead_out, "cannot be part of a clip id"),
        "filter of somebody": (_gzip_bomb, "stored in a way"),
        "data never written": (_unwritten, "stored in a way"),
        "words of any length": (_any_length, "is no short text"),
        "objects": (_objects, "is not a 1-dimensional"),
        "meta data that nest": (_nest, "broken meta data"),
        "meta data of other kinds": (_odd_labels, "broken meta data: labels is"),
        "clip of another name": (_impostor, "calls itself"),
        "clip of another person": (_changeling, "calls itself toy/s2/a"),
        "numbers that are none": (_nan_scale, "no scale_px"),
    }
    found: dict[str, Case] = {}
    for name, (change, word) in changes.items():
        path = folder / f"{name.replace(' ', '-')}.h5"
        add(path, make_record(), "k", OPTIONS)
        merge(path, OPTIONS)
        with h5py.File(path, "r+") as file:
            change(file, file["clips/toy/s1/a"])
        found[name] = (["export", str(path), str(folder / "out")], word)
    for name, data in (("empty", b""), ("text", b"hello" * 99), ("head", b"\x89HDF\r\n\x1a\n")):
        (folder / f"{name}.h5").write_bytes(data)
        found[name] = (["info", str(folder / f"{name}.h5")], "not a readable HDF5 file")
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = 1
    found["of another program"] = (["info", str(folder / "other.h5")], "not a mecli cache")
    os.mkfifo(folder / "fifo.h5")
    found["pipe"] = (["info", str(folder / "fifo.h5")], "is not a file")
    found["device"] = (["info", "/dev/zero"], "is not a file")
    return found


def _external_link(_: Any, clip: Any) -> None:
    del clip["curve"]
    clip["curve"] = h5py.ExternalLink("/etc/passwd", "/x")


def _external_data(_: Any, clip: Any) -> None:
    del clip["curve"]
    clip.create_dataset("curve", (8,), "float32", external=[("/etc/passwd", 0, 32)])


def _virtual(_: Any, clip: Any) -> None:
    del clip["curve"]
    layout = h5py.VirtualLayout((8,), "float32")
    layout[:] = h5py.VirtualSource(".", "/clips/toy/s1/a/curve", (8,))
    clip.create_virtual_dataset("curve", layout)


def _soft_link(file: Any, _: Any) -> None:
    file["clips/toy/s2"] = h5py.SoftLink("/clips/toy/s2")


def _circle(file: Any, _: Any) -> None:
    file["clips/toy/s2"] = file["clips"]


def _lead_out(file: Any, _: Any) -> None:
    file.move("clips/toy/s1", "clips/toy/..")


def _gzip_bomb(_: Any, clip: Any) -> None:
    del clip["curve"]
    shape = (1 << 26,)
    clip.create_dataset("curve", shape, "float32", chunks=shape, compression="gzip")
    clip["curve"][:] = 0


def _unwritten(_: Any, clip: Any) -> None:
    del clip["curve"]
    clip.create_dataset("curve", (1 << 34,), "float32", chunks=(1 << 20,))


def _any_length(_: Any, clip: Any) -> None:
    clip.attrs["meta"] = clip.attrs["meta"].decode()


def _objects(_: Any, clip: Any) -> None:
    del clip["curve"]
    clip.create_dataset("curve", data=["a", "b"], dtype=h5py.string_dtype())


def _nest(_: Any, clip: Any) -> None:
    clip.attrs["meta"] = np.bytes_(b"[" * 60_000)


def _impostor(_: Any, clip: Any) -> None:
    clip.attrs["meta"] = np.bytes_(clip.attrs["meta"].replace(b"toy/s1/a", b"toy/s1/b"))


def _odd_labels(_: Any, clip: Any) -> None:
    meta = json.loads(clip.attrs["meta"]) | {"labels": {"emotion": 10**400}}
    clip.attrs["meta"] = np.bytes_(json.dumps(meta))


def _changeling(_: Any, clip: Any) -> None:
    meta = json.loads(clip.attrs["meta"]) | {"subject": "s2"}
    clip.attrs["meta"] = np.bytes_(json.dumps(meta))


def _nan_scale(_: Any, clip: Any) -> None:
    clip["flow"].attrs["scale_px"] = np.nan


class _Evil:
    """Unpickling it would leave a file behind."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, ("touch escaped",)


def _checkpoints(folder: Path) -> dict[str, Case]:
    sound = READERS["checkpoint"].seeds()["small.safetensors"]
    size = int.from_bytes(sound[:8], "little")
    header, weights = json.loads(sound[8 : 8 + size]), sound[8 + size :]
    about = json.loads(header["__metadata__"]["mecli"])

    def with_header(changed: dict[str, Any]) -> bytes:
        text = json.dumps(changed).encode()
        return len(text).to_bytes(8, "little") + text + weights

    def saying(**changes: Any) -> bytes:
        told = {"__metadata__": {"mecli": json.dumps(about | changes)}}
        return with_header(header | told)

    name = next(n for n in header if n != "__metadata__")
    giant = header[name] | {"shape": [1 << 40]}
    contents: dict[str, tuple[bytes, str]] = {
        "pickle": (pickle.dumps(_Evil()), "cannot be read as safetensors"),
        "length without end": (b"\xff" * 8 + sound[8:], "cannot be read as safetensors"),
        "header that nests": (len(b"[" * 9999).to_bytes(8, "little") + b"[" * 9999, "safetensors"),
        "weights without end": (with_header(header | {name: giant}), "safetensors"),
        "weights of others": (sound[:-4] + b"\0\0\x80\x7f", "damaged"),
        "no description": (with_header(header | {"__metadata__": {}}), "no checkpoint of mecli"),
        "model that is code": (saying(model="os:system"), "does not fit this version"),
        "shape without end": (saying(shape=[3, 10**9, 10**9]), "does not fit"),
        "shape of nothing": (saying(shape=[float("inf")]), "broken description"),
        "options of others": (saying(options={"width": 10**9}), ""),
        "version to come": (saying(format=99), "format 99"),
        "temperature of none": (saying(temperature=float("nan")), "broken description"),
    }
    found: dict[str, Case] = {}
    for what, (data, word) in contents.items():
        path = folder / f"{what.replace(' ', '-')}.safetensors"
        path.write_bytes(data)
        found[what] = (["models", "show", str(path)], word)
    return found


def _runs(folder: Path) -> dict[str, Case]:
    sound = READERS["run"].seeds()
    text = sound["predictions.csv"]
    contents: dict[str, tuple[str, bytes, str]] = {
        "description that nests": ("run.json", b'{"a":' * 99_999, "cannot be read as JSON"),
        "classes of none": ("run.json", sound["run.json"].replace(b'["a", "b"]', b'"ab"'), "list"),
        "scores without end": ("predictions.csv", text.replace(b"0.25", b"inf"), "finite number"),
        "clip twice": ("predictions.csv", text + text.splitlines()[1] + b"\n", "occurs twice"),
        "clip too few": ("predictions.csv", b"\n".join(text.splitlines()[:-1]), "holds out"),
        "cells too many": ("predictions.csv", text + b"a,b,c\n", "has 3 cells"),
        "bytes": ("predictions.csv", b"\xff" * 999, "cannot be read as CSV"),
    }
    found: dict[str, Case] = {}
    for name, (file, data, word) in contents.items():
        run = folder / name.replace(" ", "-")
        for other, content in sound.items():
            (run / other).parent.mkdir(parents=True, exist_ok=True)
            (run / other).write_bytes(data if other == file else content)
        found[name] = (["evaluate", str(run)], word)
    (folder / "pipe").mkdir()
    os.mkfifo(folder / "pipe" / "run.json")
    found["pipe"] = (["evaluate", str(folder / "pipe")], "is not a regular file")
    found["device as table"] = (["evaluate", "/dev/zero"], "is not a regular file")
    found["line without end"] = (["evaluate", "-"], "has a line of more than 1 MiB")
    return found
