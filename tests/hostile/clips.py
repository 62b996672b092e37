"""Clips that nobody should decode: each a file or folder, and a word of the reason it gets."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import av
import numpy as np

from mecli.filming import write_video
from mecli.video import read_frames

SAMPLE = Path(__file__).parents[2] / "sample_data" / "clips" / "s01_01.mp4"


def make(folder: Path) -> dict[str, str]:
    """Write all of them and a manifest ``clips.csv``; return a word of the reason by clip name."""
    found: dict[str, str] = {}
    for write in (_files, _special, _videos, _pictures):
        found |= write(folder)
    rows = [f"{name},p,,," for name in found]
    for name, moments, word in (
        ("behind", "9000,,9005", "clip ends before it"),
        ("late-apex", "0,8000,", "annotation names apex frame 8000"),
    ):
        (folder / f"{name}.mp4").symlink_to(SAMPLE)
        rows.append(f"{name}.mp4,p,{moments}")
        found[f"{name}.mp4"] = word
    (folder / "clips.csv").write_text("path,subject,onset,apex,offset\n" + "\n".join(rows) + "\n")
    return {Path(name).stem: word for name, word in found.items()}


def _files(folder: Path) -> dict[str, str]:
    whole = SAMPLE.read_bytes()
    rotten = bytearray(whole)
    for offset in range(len(rotten) // 3, 2 * len(rotten) // 3, 97):
        rotten[offset] ^= 0x55
    contents = {
        "empty.mp4": (b"", "cannot be opened"),
        "noise.mp4": (np.random.default_rng(0).bytes(20_000), "cannot be opened"),
        "zeros.avi": (bytes(20_000), "cannot be opened"),
        "cut.mp4": (whole[: len(whole) // 2], "cut"),
        "rotten.mp4": (bytes(rotten), "is damaged; copy the file again"),
        "playlist.mp4": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "cannot be"),
        "concat.mp4": (b"ffconcat version 1.0\nfile /etc/passwd\n", "cannot be opened"),
        "page.png": (b"<html><body>404</body></html>", "is no image"),
        "drawing.png": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "is no image"),
    }
    for name, (data, _) in contents.items():
        place = folder / name
        if name.endswith(".png"):
            place = folder / Path(name).stem / "1.png"
            place.parent.mkdir()
            (place.parent / "2.png").write_bytes(data)
        place.write_bytes(data)
    return {n.removesuffix(".png"): word for n, (_, word) in contents.items()}


def _special(folder: Path) -> dict[str, str]:
    os.mkfifo(folder / "fifo.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "dangling.mp4").symlink_to("nowhere")
    return {
        "fifo.mp4": "is not a regular file", "device.mp4": "is not a regular file",
        "loop.mp4": "symbolic links", "dangling.mp4": "No such file",
    }  # fmt: skip


def _videos(folder: Path) -> dict[str, str]:
    grey = np.full((64, 80, 3), 128, np.uint8)
    write_video(folder / "faceless.mp4", [grey] * 6, 25.0)
    write_video(folder / "lone.mp4", [grey], 25.0)
    for suffix in ("mkv", "avi"):
        path = folder / f"short-{suffix}.{suffix}"
        write_video(path, (f.image for f in read_frames(SAMPLE, 0, 60)), 25.0)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with av.open(str(folder / "wide.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 8208, 16, "yuv420p"
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame(8208, 16, "yuv420p")))
        container.mux(stream.encode())
    with av.open(str(folder / "deaf.mp4"), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return {
        "faceless.mp4": "no face found", "lone.mp4": "no face found",
        "short-mkv.mkv": "holds no frame", "short-avi.avi": "frame 0 is damaged",
        "wide.mkv": "8208×16", "deaf.mp4": "no video",
    }  # fmt: skip


def _pictures(folder: Path) -> dict[str, str]:
    bomb = _png(30_000, 30_000, 1, bytes(30_000 * 3751))
    lie = _png(200, 200, 8, bytes(100))
    sound = _png(40, 40, 8, bytes(40 * 41))
    tiff = b"II*\0\x08\0\0\0\x02\0\0\x01\x04\0\x01\0\0\0\xff\xff\xff\x7f\x01\x01\x04\0\x01\0\0\0"
    tiff += b"\xff\xff\xff\x7f\0\0\0\0"
    for name, first, second in (
        ("bomb", bomb, bomb), ("lie", lie, lie), ("half", sound[: len(sound) // 2], sound),
        ("unequal", sound, _png(44, 40, 8, bytes(40 * 45))), ("giant-tiff", tiff, tiff),
    ):  # fmt: skip
        (folder / name).mkdir()
        suffix = "tiff" if "tiff" in name else "png"
        (folder / name / f"1.{suffix}").write_bytes(first)
        (folder / name / f"2.{suffix}").write_bytes(second)
    return {
        "bomb": "exceeds limit", "lie": "cannot be decoded", "half": "is no image",
        "unequal": "no face found", "giant-tiff": "is no image",
    }  # fmt: skip


def _png(width: int, height: int, depth: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        total = kind + data
        return struct.pack(">I", len(data)) + total + struct.pack(">I", zlib.crc32(total))

    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixels + chunk(b"IEND", b"")
