"""The verb ``doctor``: is everything there that the other verbs need, and does it work."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mecli import __version__, checkpoints, whereabouts, workers
from mecli.errors import InputError, MecliError
from mecli.report.doctor import Finding, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mecli.whereabouts import Whereabouts

    Progress = Callable[[int, int, str], None]

DECODERS = ("h264", "hevc", "mpeg4", "mjpeg", "vp9", "av1", "ffv1", "rawvideo")
_LEAST_FREE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """What ``mecli doctor`` can be told; the defaults are the command line's."""

    cache: Path = Path("mecli.h5")
    runs: Path = Path("runs")
    self_test: bool = True


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings, and what lies in the folder."""

    findings: tuple[Finding, ...]
    here: Whereabouts

    @property
    def healthy(self) -> bool:
        """Whether nothing is missing."""
        return all(found.state != "missing" for found in self.findings)


def doctor(options: DoctorOptions | None = None, progress: Progress | None = None) -> Diagnosis:
    """Look at versions, machine, landmark back ends, decoders and folders; try a clip.

    What is missing is a finding, not an exception.
    """
    options = options or DoctorOptions()
    looks: list[Callable[[], Iterator[Finding]]] = [
        _packages,
        _machine,
        _video,
        _landmarks,
        _checkpoints,
        lambda: _folders(options),
    ]
    if options.self_test:
        looks.append(_self_test)
    found: list[Finding] = []
    for done, looked in enumerate(looks):
        if progress is not None:
            progress(done, len(looks), "")
        found += _guarded(looked)
    return Diagnosis(tuple(found), whereabouts.look([options.cache], options.runs))


def _guarded(looked: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Return the findings of `looked`; a package that is broken is one of them."""
    found: list[Finding] = []
    try:
        found.extend(looked())
    except ImportError as error:
        package = (error.name or "mecli").partition(".")[0]
        found.append(
            Finding("packages", package, "missing", str(error), f"pip install --upgrade {package}")
        )
    return found


def _packages() -> Iterator[Finding]:
    yield Finding("packages", "python", "ok", platform.python_version())
    yield Finding("packages", "mecli", "ok", __version__)
    try:
        wanted = importlib.metadata.requires("mecli") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("packages", "requirements", "note", "mecli runs from its source folder")
        return
    for requirement in wanted:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            do = f"pip install '{requirement}'"
            yield Finding("packages", name, "missing", f"expected {requirement}", do)
        else:
            yield Finding("packages", name, "ok", version)


def _machine() -> Iterator[Finding]:
    import torch

    yield Finding("machine", "system", "ok", f"{platform.system()} {platform.machine()}")
    cores = f"{workers.cores()} of {os.cpu_count()} may be used"
    yield Finding("machine", "cores", "ok", cores)
    threads = f"{torch.get_num_threads()} (a worker of mecli uses 1)"
    yield Finding("machine", "torch threads", "ok", threads)
    if not torch.cuda.is_available():
        yield Finding("machine", "GPU", "note", "none that torch sees; training runs on all cores")
        return
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        said = f"{card.name}, {card.total_memory / 2**30:.0f} GiB"
        yield Finding("machine", f"GPU {number}", "ok", said)


def _video() -> Iterator[Finding]:
    import cv2

    from mecli import filming, video

    absent = [codec for codec in DECODERS if not video.has_codec(codec, "r")]
    there = [codec for codec in DECODERS if codec not in absent]
    yield Finding("video", "decoders", "ok", ", ".join(there))
    if absent:
        yield Finding("video", "no decoder", "note", f"{', '.join(absent)}: convert such clips")
    if video.has_codec(filming.ENCODER, "w"):
        yield Finding("video", "encoder", "ok", f"{filming.ENCODER}, for synth and --overlay")
    else:
        do = "pip install --upgrade --force-reinstall av"
        yield Finding(
            "video", "encoder", "missing", f"{filming.ENCODER}, for synth and --overlay", do
        )
    yield Finding("video", "opencv", "ok", f"{cv2.__version__}, {cv2.getNumThreads()} thread")


def _landmarks() -> Iterator[Finding]:
    from mecli.landmarks.choose import resolve, weights_status

    yield Finding("landmarks", "auto", "ok", f"is {resolve()} now")
    weights = checkpoints.bundled().parent
    for name in ("blazeface", "facemesh"):
        path = weights / f"{name}.safetensors"
        state: State = "ok" if path.is_file() else "missing"
        yield Finding("landmarks", f"embedded: {name}", state, str(path), "reinstall mecli")
    for one in weights_status():
        said = f"{one.purpose}: {one.path}"
        if one.present:
            yield Finding("landmarks", f"face-alignment: {one.name}", "ok", said)
        else:
            do = f"put {one.name} there to use it; embedded works without"
            yield Finding("landmarks", f"face-alignment: {one.name}", "note", said, do)


def _checkpoints() -> Iterator[Finding]:
    for name in (checkpoints.FACES, checkpoints.MAPS):
        path = checkpoints.bundled(name)
        state: State = "ok" if path.is_file() else "missing"
        yield Finding("checkpoints", name, state, str(path), "reinstall mecli")


def _folders(options: DoctorOptions) -> Iterator[Finding]:
    places = {
        "this folder": Path.cwd(),
        "cache": options.cache.absolute().parent,
        "runs": options.runs.absolute(),
        "temporary files": Path(tempfile.gettempdir()),
    }
    for name, place in places.items():
        there = next(p for p in (place, *place.parents) if p.exists())
        free = shutil.disk_usage(there).free
        if not os.access(there, os.W_OK | os.X_OK):
            do = "choose another place (--cache, --runs, TMPDIR) or change its permissions"
            yield Finding("folders", name, "missing", f"{there} cannot be written to", do)
        elif free < _LEAST_FREE_BYTES:
            said = f"{there}: only {free / 1e9:.1f} GB free"
            yield Finding("folders", name, "note", said, "make room before you extract")
        else:
            yield Finding("folders", name, "ok", f"{place}, {free / 1e9:.0f} GB free")


def _self_test() -> Iterator[Finding]:
    """Render a face that does not exist, extract it and ask the bundled checkpoint."""
    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="mecli-doctor-") as folder:
            for stage, said in _try(Path(folder)):
                yield Finding("self-test", stage, "ok", said)
    except MecliError as error:
        do = "if all above is well, please report this"
        yield Finding("self-test", "failed", "missing", str(error), do)
        return
    yield Finding("self-test", "time", "ok", f"{time.perf_counter() - start:.1f} s in one process")


def _try(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each stage and what came of it."""
    from mecli.extract import ExtractOptions, extract
    from mecli.predict import PredictOptions, predict
    from mecli.synth import SynthOptions, synth

    faces = folder / "faces"
    one = SynthOptions(subjects=1, clips=1, distractors=0, pairs_only=True, jobs=0)
    made = synth(faces, one)
    yield "synth", f"{made.frames} frames of a face that does not exist"
    done = extract([str(faces)], folder / "mecli.h5", ExtractOptions(landmarks="embedded", jobs=0))
    _check(done.failures)
    yield "extract", f"{done.clips} clip with {done.landmarker} landmarks"
    asked = PredictOptions(checkpoint=Path(checkpoints.BUNDLED), landmarks="embedded", jobs=0)
    (answer,) = predict([str(faces)], asked)
    _check({answer.clip: answer.error} if answer.error else {})
    yield "predict", f"{answer.prediction} {answer.scores[answer.prediction]:.2f}"


def _check(failures: dict[str, str]) -> None:
    for reason in failures.values():
        raise InputError(reason)
