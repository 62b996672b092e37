"""Peak memory on what is long, many or huge: ``python -m tests.memory hour search half_hour …``."""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from mecli.bench.film import film
from mecli.filming import write_video
from mecli.video import read_frames

SAMPLE = Path(__file__).parent.parent / "sample_data"
_OFTEN_S = 0.2
_ALONE = ("--jobs", "1", "--timeout", "36000")


class Cost(NamedTuple):
    """What a command took, all its processes together."""

    peak_mib: float
    code: int
    clock_s: float
    busy_s: float
    """Processor time, which other work on the machine changes little."""
    said: str
    """What it wrote to stderr."""


def cost_of(command: list[str], folder: Path) -> Cost:
    """Run `command` and return what it took."""
    start, peak, busy = time.perf_counter(), 0, dict[str, float]()
    with (folder / "words").open("w+") as words:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=words, start_new_session=True
        )
        while process.poll() is None:
            peak = max(peak, _used_kib(process.pid, busy))
            time.sleep(_OFTEN_S)
        words.seek(0)
        clock_s = time.perf_counter() - start
        return Cost(peak / 1024, process.returncode, clock_s, sum(busy.values()), words.read())


def _used_kib(session: int, busy: dict[str, float]) -> int:
    """Return what the processes of a session use, memory that several share counted once.

    The processor seconds of each go into `busy`.
    """
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
            if int(words[3]) != session:
                continue
            rollup = (stat.parent / "smaps_rollup").read_text()
        except (OSError, IndexError):
            continue
        busy[stat.parent.name] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        total += sum(int(row.split()[1]) for row in rollup.splitlines() if row.startswith("Pss:"))
    return total


def hour(folder: Path) -> list[list[str]]:
    """Make a video of one hour at 25 fps; its clip is the second before the end."""
    frames = [f.image for f in read_frames(SAMPLE / "clips" / "s01_01.mp4")]
    rounds = itertools.islice(itertools.cycle([*frames, *frames[::-1]]), 90_000)
    write_video(folder / "hour.mp4", rounds, 25.0)
    (folder / "hour.csv").write_text("path,onset,offset\nhour.mp4,89950,89975\n")
    out = ["-o", str(folder / "c.h5"), "--landmarks", "embedded", "--timeout", "3600"]
    return [
        ["extract", str(folder / "hour.csv"), *out],
        ["extract", str(folder / "hour.mp4"), *out],
    ]


def search(folder: Path) -> list[list[str]]:
    """Make videos of 640×480 at 200 frames/s, one and three minutes long."""
    _make_long(folder, 1, 3)
    return [
        ["spot", str(folder / "1min.mp4"), "--landmarks", "embedded", *_ALONE],
        ["spot", str(folder / "3min.mp4"), "--landmarks", "embedded", *_ALONE],
        ["predict", str(folder / "3min.mp4"), "--checkpoint", "bundled", *_ALONE],
    ]


def half_hour(folder: Path) -> list[list[str]]:
    """Make a video of 640×480 at 200 frames/s, thirty minutes long: 360,000 frames."""
    _make_long(folder, 30)
    return [["spot", str(folder / "30min.mp4"), "--landmarks", "embedded", *_ALONE]]


def _make_long(folder: Path, *lengths_min: int) -> None:
    frames = [frame.image for frame in read_frames(SAMPLE / "clips" / "long01.mp4")]
    write_video(folder / "part.mp4", film(iter(frames), 1000), 200.0)
    for minutes in lengths_min:
        _repeat(folder / "part.mp4", folder / f"{minutes}min.mp4", 12 * minutes)


def _repeat(part: Path, out: Path, times: int) -> None:
    """Write the encoded frames of `part` into `out` that many `times`, undecoded."""
    with av.open(str(out), "w") as written:
        stream, start = None, 0
        for _ in range(times):
            with av.open(str(part)) as read:
                stream = stream or written.add_stream_from_template(read.streams.video[0])
                packets = [packet for packet in read.demux(video=0) if packet.size]
                for packet in packets:
                    packet.pts, packet.dts = (packet.pts or 0) + start, (packet.dts or 0) + start
                    packet.stream = stream
                    written.mux(packet)
                start += sum(packet.duration or 0 for packet in packets)


def many(folder: Path) -> list[list[str]]:
    """Make ten thousand clips of two pictures each, none of which shows a face."""
    import cv2

    picture = cv2.imencode(".png", np.full((32, 32, 3), 90, np.uint8))[1].tobytes()
    for k in range(10_000):
        clip = folder / "corpus" / "class" / f"s{k // 100:03}" / f"c{k:05}"
        clip.mkdir(parents=True)
        for name in ("1.png", "2.png"):
            (clip / name).write_bytes(picture)
    corpus = str(folder / "corpus")
    out = ["-o", str(folder / "c.h5"), "--landmarks", "embedded"]
    return [["check", corpus], ["extract", corpus, *out], ["info", str(folder / "c.h5")]]


def sparse(folder: Path) -> list[list[str]]:
    """Make files of 100 GB with nothing in them, each of another kind."""
    corpus = folder / "corpus"
    corpus.mkdir()
    names = ("a.mp4", "b.avi", "c.mkv")
    beside = ("d.csv", "e.xlsx", "f.h5", "g.safetensors", "h.json")
    for path in [*(corpus / n for n in names), *(folder / n for n in beside)]:
        with path.open("wb") as file:
            file.truncate(100 * 10**9)
    out = ["-o", str(folder / "c.h5"), "--landmarks", "embedded"]
    return [
        ["extract", str(corpus), *out],
        ["extract", str(folder / "d.csv"), *out],
        ["check", str(folder / "e.xlsx"), "--corpus", "casme2"],
        ["info", str(folder / "f.h5")],
        ["models", "show", str(folder / "g.safetensors")],
        ["evaluate", str(folder / "d.csv")],
        ["train", "--options", str(folder / "h.json")],
    ]


def main() -> int:
    """Print peak, exit code and time of each command."""
    parser = argparse.ArgumentParser(prog="python -m tests.memory", description=__doc__)
    parser.add_argument(
        "what", choices=[f.__name__ for f in (hour, search, half_hour, many, sparse)], nargs="+"
    )
    for what in parser.parse_args().what:
        with tempfile.TemporaryDirectory(prefix="mecli-memory-") as name:
            for words in globals()[what](Path(name)):
                cost = cost_of([sys.executable, "-m", "mecli", *words], Path(name))
                told = " ".join(words).replace(name + "/", "")
                last = (cost.said.splitlines() or [""])[-1].replace(name + "/", "")[:150]
                sys.stdout.write(
                    f"{what}: mecli {told}: {cost.peak_mib:.0f} MiB, exit {cost.code}, "
                    f"{cost.clock_s:.0f} s, {cost.busy_s:.0f} s of processor time; {last}\n"
                )
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
