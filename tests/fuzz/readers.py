"""Every reader of mecli with sound files to damage."""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import h5py
import numpy as np

from mecli.cache import Reader as CacheReader
from mecli.cache import add, clip_image, merge
from mecli.clips import Clip
from mecli.filming import write_video
from mecli.video import probe, read_frames
from tests.fuzz import mutate as damage
from tests.records import make_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

SAMPLE = Path(__file__).parents[2] / "sample_data"
OPTIONS = {"steps": 4, "flow": "dis"}


@dataclass(frozen=True, slots=True)
class Reader:
    """Sound files by name, how to damage one and how to read the folder they lie in."""

    seeds: Callable[[], dict[str, bytes]]
    read: Callable[[Path, str], object]
    mutate: Callable[[bytes, Random, Sequence[bytes]], bytes] = damage.mutate
    guarded: bool = False
    """Whether mecli reads such files in a worker alone, where a crash is one failed clip."""
    patience: float = 1.0
    kept: tuple[str, ...] = ()
    """Files that lie beside and stay whole."""


def _pictures(count: int = 6) -> list[np.ndarray]:
    y, x = np.mgrid[0:64, 0:80]
    return [np.stack([x * 3, y * 2 + k * 9, x + y], axis=-1).astype(np.uint8) for k in range(count)]


def _videos() -> dict[str, bytes]:
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for suffix in ("mp4", "mkv", "avi", "mov", "ts"):
            path = Path(name) / f"a.{suffix}"
            write_video(path, iter(_pictures()), 25.0)
            found[path.name] = path.read_bytes()
    return found


def _read_video(folder: Path, file: str) -> None:
    probe(folder / file)
    for frame in read_frames(folder / file):
        assert frame.image.dtype == np.uint8


def _images() -> dict[str, bytes]:
    kinds = (".png", ".jpg", ".bmp", ".tiff", ".webp", ".ppm")
    picture = _pictures(1)[0]
    return {f"a{k}": cv2.imencode(k, picture)[1].tobytes() for k in kinds}


def _read_image(folder: Path, file: str) -> None:
    for frame in read_frames((folder / file,)):
        assert frame.image.ndim == 3


def _caches() -> dict[str, bytes]:
    """A cache of one clip, one of many, and both without the checksums of newer HDF5 files."""
    with tempfile.TemporaryDirectory() as name:
        one, many = Path(name) / "one.h5", Path(name) / "many.h5"
        one.write_bytes(clip_image(make_record(), "00", OPTIONS))
        for k in range(20):
            add(many, make_record(f"toy/s1/b{k}", steps=1), f"{k:02}", OPTIONS)
        merge(many, OPTIONS)
        for path in (one, many):
            _without_checksums(path, path.with_name(f"bare-{path.name}"))
        return {path.name: path.read_bytes() for path in Path(name).glob("*.h5")}


def _without_checksums(path: Path, bare: Path) -> None:
    with h5py.File(path) as source, h5py.File(bare, "w") as target:
        _copy_attributes(source, target)

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                _copy_attributes(item, target.create_group(name))
            else:
                source.copy(item, target, name)

        source.visititems(copy)


def _copy_attributes(source: h5py.HLObject, target: h5py.HLObject) -> None:
    for name in source.attrs:
        target.attrs.create(name, source.attrs[name], dtype=source.attrs.get_id(name).dtype)


def _read_cache(folder: Path, file: str) -> None:
    with CacheReader(folder / file) as cache:
        cache.fingerprint()
        for clip_id in cache.clip_ids:
            cache.record(clip_id)


def _checkpoints() -> dict[str, bytes]:
    import torch

    from mecli import registry
    from mecli.checkpoints import bundled
    from mecli.models.options import resolve
    from mecli.training.checkpoint import Checkpoint, networks_for, save_checkpoint

    model = registry.load("model", "ststnet")
    options = resolve(model, {})
    networks, _ = networks_for(model.stages(options), (3, 28, 28), 3, torch.float32)
    made = Checkpoint(
        "ststnet", options, ("a", "b", "c"), "megc2019", (3, 28, 28), tuple(networks), {}
    )
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "small.safetensors"
        save_checkpoint(path, made)
        return {"small.safetensors": path.read_bytes(), "a.safetensors": bundled().read_bytes()}


def _read_checkpoint(folder: Path, file: str) -> None:
    from mecli.training.checkpoint import load_checkpoint

    load_checkpoint(folder / file)


def _manifests() -> dict[str, bytes]:
    return {
        "m.csv": b"path,subject,onset,apex,offset,label,fps\na.png,p1,0,3,9,happy,100\n"
        b"sub,p2,,,,sad,\nb.mp4,,1,2,3,,25\n",
        "n.csv": b"\xef\xbb\xbfpath;corpus;clip;landmarks;note\r\na.png;c;x;l.npy;=1+1\r\n",
        "a.png": b"",
        "sub/img1.png": b"",
        "sub/img2.png": b"",
    }


def _read_manifest(folder: Path, file: str) -> None:
    from mecli.corpora.sources import read_sources

    read_sources([folder / file])


def _sheets() -> dict[str, bytes]:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    sheet.append(
        [
            "Subject",
            "Filename",
            "",
            "OnsetFrame",
            "ApexFrame",
            "OffsetFrame",
            "",
            "Action Units",
            "Estimated Emotion",
        ]
    )
    for k in range(6):
        sheet.append([k + 1, f"EP0{k}", None, 10, 20 + k, 40, None, "4+L10", "disgust"])
    sheet.merge_cells("A2:A3")
    packed = io.BytesIO()
    book.save(packed)
    rows = ["Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,Estimated Emotion"]
    rows += [f"{k},EP0{k},10,{20 + k},40,4+L10,disgust" for k in range(6)]
    return {"s.xlsx": packed.getvalue(), "s.csv": "\n".join(rows).encode()}


def _read_sheet(folder: Path, file: str) -> None:
    from mecli.corpora.sources import read_sources

    read_sources([folder / file], "casme2")


def _mutate_sheet(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    way = damage.mutate_zip if data[:2] == b"PK" else damage.mutate_text
    return way(data, rng, others)


def _runs() -> dict[str, bytes]:
    from mecli.train import TrainOptions

    clips = [f"toy/s{k % 3}/c{k}" for k in range(6)]
    folds = [
        {"name": f"s{s}", "train": [], "test": [c for c in clips if f"/s{s}/" in c]}
        for s in range(3)
    ]
    description = {
        "format": 1, "status": "complete", "model": "ststnet", "classes": ["a", "b"],
        "protocol": "loso", "selection": "last", "folds": folds, "epochs_chosen": {},
    }  # fmt: skip
    head = "clip,subject,corpus,label,prediction,seed,fold,score_a,score_b\n"
    rows = "".join(f"{c},{c.split('/')[1]},toy,a,b,0,s0,0.25,0.75\n" for c in clips)
    fold = {
        "format": 1, "fold": "s0", "number": 0, "seed": 0, "train_per_class": [2, 2],
        "scores": {"toy/s0/c0": [0.5, 0.5]}, "history": {"all": [1.0, 0.5]},
        "weights_sha256": "0" * 64, "duration_s": 1.0, "epochs": {},
        "leaked": {"epoch": 1, "hits": [1], "scores": {"toy/s0/c0": [0.5, 0.5]}},
    }  # fmt: skip
    return {
        "run.json": json.dumps(description).encode(),
        "options.json": json.dumps(TrainOptions().as_json()).encode(),
        "predictions.csv": (head + rows).encode(),
        "folds/0/0.json": json.dumps(fold).encode(),
    }


def _read_run(folder: Path, _: str) -> None:
    from mecli.evaluate import evaluate
    from mecli.train import read_options
    from mecli.training.folder import read_fold, read_run

    read_run(folder)
    read_options(folder / "options.json")
    read_fold(folder, 0, 0)
    evaluate([folder])


def _mutate_run(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    way = damage.mutate_json if data[:1] == b"{" else damage.mutate_text
    return way(data, rng, others)


def _predictions() -> dict[str, bytes]:
    return {"p.csv": _runs()["predictions.csv"], "q.csv": b"clip,label,prediction\na/b/c,1,0.0\n"}


def _read_predictions(folder: Path, file: str) -> None:
    from mecli.evaluate import evaluate

    evaluate([folder / file])


def _landmarks() -> dict[str, bytes]:
    points = np.arange(2 * 136, dtype=np.float32).reshape(2, 68, 2)
    packed = io.BytesIO()
    np.save(packed, points)
    names = ",".join(f"x{k},y{k}" for k in range(68))
    rows = "\n".join(",".join(map(str, p.ravel())) for p in points)
    pts = "version: 1\nn_points: 68\n{\n" + "\n".join(f"{x} {y}" for x, y in points[0]) + "\n}\n"
    return {"l.npy": packed.getvalue(), "l.csv": f"{names}\n{rows}".encode(), "l.pts": pts.encode()}


def _read_landmarks(folder: Path, file: str) -> None:
    from mecli.landmarks.precomputed import PrecomputedLandmarker

    clip = Clip("c", "s", "n", folder / "v.mp4", landmarks=folder / file)
    frames = np.zeros((2, 400, 400, 3), np.uint8)
    PrecomputedLandmarker().find(frames, clip, [0, 1])


def _intervals() -> dict[str, bytes]:
    row = {"clip": "a.mp4", "onset": 3, "offset": 9, "apex": 5, "kind": "micro", "score": 0.9}
    return {
        "i.json": json.dumps([row, row | {"prediction": "surprise"}]).encode(),
        "l.json": f"{json.dumps(row)}\n{json.dumps({'clip': 'b', 'error': 'x'})}\n".encode(),
        "i.csv": b"clip,onset,offset,kind,prediction\na.mp4,3,9,micro,surprise\nb.mp4,1,2,macro,\n",
    }


def _read_intervals(folder: Path, file: str) -> None:
    from mecli.proposals import read_proposals

    read_proposals(folder / file)


def _mutate_intervals(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    way = damage.mutate_json if data[:1] == b"[" else damage.mutate_text
    return way(data, rng, others)


def _labels() -> dict[str, bytes]:
    return {
        "l.csv": b"label,class\nhappiness,positive\ndisgust,negative\n",
        "c.csv": b"\xef\xbb\xbfclip,class\ntoy/s1/a,x\ntoy/s1/b,y\n",
    }


def _read_labels(folder: Path, file: str) -> None:
    from mecli.labels import Annotation, apply_scheme

    known = [Annotation(f"toy/s1/{n}", "toy", {"emotion": "happiness"}) for n in "ab"]
    apply_scheme(str(folder / file), known)


def _settings() -> dict[str, bytes]:
    toml = b'[train]\nmodel = "ststnet"\nepochs = 3\nfreeze = false\ncache = ["a.h5"]\n'
    return {"o.toml": toml, "o.json": _runs()["options.json"]}


def _read_settings(folder: Path, file: str) -> None:
    from typer.testing import CliRunner

    from mecli import cli

    words = ["train", "--options", str(folder / file), "--print-options"]
    done = CliRunner().invoke(cli.app, words)
    if done.exit_code not in {0, 2, 3, 4}:
        raise done.exception or AssertionError(done.stderr)
    assert done.stderr.count("\n") <= 6, done.stderr


READERS = {
    "video": Reader(_videos, _read_video, guarded=True),
    "image": Reader(_images, _read_image, guarded=True),
    "cache": Reader(_caches, _read_cache),
    "checkpoint": Reader(_checkpoints, _read_checkpoint, damage.mutate_safetensors),
    "manifest": Reader(
        _manifests, _read_manifest, damage.mutate_text,
        kept=("a.png", "sub/img1.png", "sub/img2.png"),
    ),
    "sheet": Reader(_sheets, _read_sheet, _mutate_sheet),
    "run": Reader(_runs, _read_run, _mutate_run),
    "intervals": Reader(_intervals, _read_intervals, _mutate_intervals),
    "labels": Reader(_labels, _read_labels, damage.mutate_text),
    "settings": Reader(_settings, _read_settings, _mutate_run),
    "predictions": Reader(_predictions, _read_predictions, damage.mutate_text),
    "landmarks": Reader(_landmarks, _read_landmarks),
}  # fmt: skip
