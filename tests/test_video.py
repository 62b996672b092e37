from __future__ import annotations

import os
import struct
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from mecli import pictures
from mecli.clips import Held
from mecli.corpora.sources import read_sources
from mecli.errors import InputError, NotWritten
from mecli.filming import write_video
from mecli.video import VideoInfo, frames_at, probe, read_every, read_frames, read_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HEIGHT, WIDTH, COUNT = 96, 128, 12


def picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """A smooth RGB picture, red in the left upper corner, that says its number by brightness."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([90 + x / 4, 60 + y / 3, np.full_like(x, 40 + 12 * number)], axis=-1)
    image[: height // 4, : width // 4] = (220, 20, 20)
    return image.astype(np.uint8)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_video(path, (picture(k) for k in range(COUNT)), fps=25)
    return path


def save(path: Path, image: NDArray[Any]) -> Path:
    bgr = image[..., ::-1] if image.ndim == 3 else image
    ok, data = cv2.imencode(path.suffix, np.ascontiguousarray(bgr))
    assert ok
    path.write_bytes(data.tobytes())
    return path


def write_raw(
    path: Path, stamps: Sequence[int], sizes: Sequence[tuple[int, int]] = (), rotation: int = 0
) -> Path:
    """A video whose frames carry the given time stamps in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.bit_rate = 4_000_000
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for number, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_written_video_reads_back_in_order(clip: Path) -> None:
    frames = list(read_frames(clip))
    assert [f.position for f in frames] == list(range(COUNT))
    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        inner = frame.image[40:, 40:].astype(int) - picture(frame.position)[40:, 40:]
        assert np.abs(inner).mean() < 3
    assert [f.time_s for f in frames] == pytest.approx([k / 25 for k in range(COUNT)])


def test_frames_are_read_between_start_and_stop_inclusive(clip: Path) -> None:
    assert [f.position for f in read_frames(clip, 3, 7)] == [3, 4, 5, 6, 7]
    assert [f.position for f in read_frames(clip, 9, 99)] == [9, 10, 11]
    assert list(read_frames(clip, 50)) == []


@pytest.mark.parametrize("kind", ["video", "pictures", "memory"])
def test_spans_are_read_in_one_pass(tmp_path: Path, clip: Path, kind: str) -> None:
    pictures = [picture(k) for k in range(COUNT)]
    files = tuple(save(tmp_path / f"{k:02d}.png", image) for k, image in enumerate(pictures))
    held = Held(np.stack(pictures))
    source: Any = {"video": clip, "pictures": files, "memory": held}[kind]
    read = list(read_spans(source, [(1, 2), (5, 5), (9, None)]))
    assert [frame.position for frame in read] == [1, 2, 5, 9, 10, 11]
    alone = list(read_frames(source))
    assert all(np.array_equal(f.image, alone[f.position].image) for f in read)
    assert sorted(frames_at(source, {7, 3, 99})) == [3, 7]


@pytest.mark.parametrize("kind", ["video", "pictures", "memory"])
@pytest.mark.parametrize(
    ("step", "wanted"), [(1, range(COUNT)), (5, [0, 5, 10, 11]), (11, [0, 11])]
)
def test_every_so_manieth_frame_is_read_and_the_last(
    tmp_path: Path, clip: Path, kind: str, step: int, wanted: Sequence[int]
) -> None:
    pictures = [picture(k) for k in range(COUNT)]
    files = tuple(save(tmp_path / f"{k:02d}.png", image) for k, image in enumerate(pictures))
    source: Any = {"video": clip, "pictures": files, "memory": Held(np.stack(pictures))}[kind]
    read = list(read_every(source, step))
    assert [frame.position for frame in read] == list(wanted)
    alone = list(read_frames(source))
    assert all(np.array_equal(f.image, alone[f.position].image) for f in read)
    with pytest.raises(InputError, match="every 0th frame asked for, expected 1 or more"):
        next(read_every(source, 0))


def test_a_video_that_does_not_say_its_length_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "c.mkv"
    write_video(path, (picture(k) for k in range(COUNT)), fps=25)
    assert probe(path).frame_count == COUNT


def test_an_animated_gif_is_a_video(tmp_path: Path) -> None:
    images = [Image.fromarray(picture(k)) for k in range(COUNT)]
    images[0].save(tmp_path / "c.gif", save_all=True, append_images=images[1:], duration=20)
    (found,) = read_sources([tmp_path / "c.gif"])
    info = probe(found.pixels)
    assert (info.width, info.height, info.frame_count) == (WIDTH, HEIGHT, COUNT)
    assert info.fps == pytest.approx(50, rel=0.01)


def test_a_range_that_runs_backwards_is_refused(clip: Path) -> None:
    for start, stop in ((-1, None), (5, 4)):
        with pytest.raises(InputError, match="expected 0 ≤ first ≤ last"):
            next(read_frames(clip, start, stop))


def test_probe_tells_what_the_file_says(clip: Path) -> None:
    info = probe(clip)
    assert (info.width, info.height, info.rotation) == (WIDTH, HEIGHT, 0)
    assert info.fps == pytest.approx(25)
    assert info.frame_count == COUNT
    assert info.codec == "h264"
    assert info.bit_rate is not None


def test_lossless_video_keeps_every_pixel_but_for_the_colour_transform(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    noise = np.random.default_rng(0).integers(60, 190, (33, 47, 1))
    images = [np.repeat(noise + k, 3, axis=-1).astype(np.uint8) for k in range(3)]
    write_video(path, images, fps=200, crf=0)
    for frame, image in zip(read_frames(path), images, strict=True):
        assert np.abs(frame.image.astype(int) - image).max() <= 2
    assert probe(path).fps == pytest.approx(200)


def test_writing_again_gives_the_same_bytes_whatever_memory_holds(
    tmp_path: Path, sample: Path
) -> None:
    frames = [frame.image for frame in read_frames(sample / "clips" / "s01_02.mp4", 0, 40)]
    rng, written = np.random.default_rng(0), set()
    litter: list[NDArray[np.uint8]] = []
    for k in range(12):
        write_video(tmp_path / "a.mp4", frames, fps=100, crf=16)
        written.add((tmp_path / "a.mp4").read_bytes())
        litter = [*litter, rng.integers(0, 255, 1 << (18 + k % 4)).astype(np.uint8)][-3:]
    assert len(written) == 1


def test_a_failed_write_leaves_the_old_file_and_nothing_else(clip: Path) -> None:
    before = clip.read_bytes()
    with pytest.raises(InputError, match=r"frame 1 is 64×48, expected 128×96"):
        write_video(clip, [picture(0), picture(1, 48, 64)], fps=25)
    with pytest.raises(InputError, match="no frames to write"):
        write_video(clip, [], fps=25)
    assert clip.read_bytes() == before
    assert list(clip.parent.iterdir()) == [clip]


def test_variable_frame_rate_is_read_from_time_stamps(tmp_path: Path) -> None:
    stamps = [0, 40, 60, 200, 210, 500]
    path = write_raw(tmp_path / "variable.mp4", stamps)
    assert [f.time_s for f in read_frames(path)] == pytest.approx([s / 1000 for s in stamps])
    assert probe(path).fps == pytest.approx(5 / 0.5)


@pytest.mark.parametrize(
    ("rotation", "corner"), [(90, "low left"), (-90, "up right"), (180, "low right")]
)
def test_rotation_metadata_turns_the_frames(tmp_path: Path, rotation: int, corner: str) -> None:
    path = write_raw(tmp_path / "turned.mp4", [0, 40], rotation=rotation)
    image = next(read_frames(path)).image
    wanted = (HEIGHT, WIDTH) if rotation == 180 else (WIDTH, HEIGHT)
    assert image.shape[:2] == wanted
    info = probe(path)
    assert (info.height, info.width) == wanted
    assert info.rotation % 360 == rotation % 360
    red = image[-12:] if "low" in corner else image[:12]
    red = red[:, :12] if "left" in corner else red[:, -12:]
    assert red[..., 0].mean() > 190
    assert red[..., 1].mean() < 60


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff", ".webp"])
def test_image_files_read_as_rgb(tmp_path: Path, suffix: str) -> None:
    paths = tuple(save(tmp_path / f"{k}{suffix}", picture(k)) for k in range(3))
    frames = list(read_frames(paths, 1))
    assert [f.position for f in frames] == [1, 2]
    assert [f.time_s for f in frames] == [None, None]
    for frame in frames:
        assert np.abs(frame.image.astype(int) - picture(frame.position)).mean() < 4
    info = probe(paths)
    assert (info.width, info.height, info.frame_count) == (WIDTH, HEIGHT, 3)
    assert info.fps is None
    assert info.codec == suffix[1:]


def test_gray_and_16_bit_images_become_rgb_uint8(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (32, 1))
    deep = ramp.astype(np.uint16) * 257
    paths = save(tmp_path / "8.png", ramp), save(tmp_path / "16.png", deep)
    for frame in read_frames(paths):
        assert frame.image.dtype == np.uint8
        np.testing.assert_array_equal(frame.image, np.repeat(ramp[..., None], 3, axis=-1))


def test_any_file_name_is_read(tmp_path: Path, clip: Path) -> None:
    for name in ("a:b.mp4", os.fsdecode(b"\xff\xfe.mp4"), "пятно €.mp4"):
        odd = tmp_path / name
        odd.write_bytes(clip.read_bytes())
        assert next(read_frames(odd)).image.shape == (HEIGHT, WIDTH, 3)
    image = save(tmp_path / "x.png", picture(0)).rename(tmp_path / os.fsdecode(b"\xff\xfe.png"))
    assert next(read_frames((image,))).image.shape == (HEIGHT, WIDTH, 3)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for frames in (tmp_path / "no.mp4", (tmp_path / "no.png",)):
        with pytest.raises(InputError, match=r"no\.\w+: cannot be opened: No such file"):
            next(read_frames(frames))


def test_a_name_with_a_null_byte_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        next(read_frames(Path("a\0b.mp4")))


def test_a_pipe_or_folder_is_refused_before_it_can_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    for frames in (pipe, tmp_path, (pipe,)):
        with pytest.raises(InputError, match="not a regular file"):
            next(read_frames(frames))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", picture(0))
    path.chmod(0)
    with pytest.raises(InputError, match=r"x\.png: cannot be read: Permission denied"):
        next(read_frames((path,)))


def test_frames_of_unequal_size_are_named(tmp_path: Path) -> None:
    paths = save(tmp_path / "a.png", picture(0)), save(tmp_path / "b.png", picture(1, 48, 64))
    with pytest.raises(InputError, match=r"b\.png: frame 1 is 64×48, but .*a\.png is 128×96"):
        list(read_frames(paths))


def test_a_video_that_changes_size_is_refused(tmp_path: Path) -> None:
    parts = []
    for number, size in enumerate(((HEIGHT, WIDTH), (48, 64))):
        part = tmp_path / f"{number}.mjpeg"
        parts.append(cv2.imencode(".jpg", picture(number, *size))[1].tobytes())
        part.write_bytes(b"".join(parts))
    with pytest.raises(InputError, match=r"frame 1 is 64×48, but the first is 128×96"):
        list(read_frames(tmp_path / "1.mjpeg"))


def test_no_frames_at_all_is_refused(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(InputError, match="lists no image files"):
        next(read_frames(()))
    silent = tmp_path / "silent.mp4"
    with av.open(str(silent), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        samples.sample_rate = 8000
        container.mux(sound.encode(samples))
        container.mux(sound.encode())
    with pytest.raises(InputError, match="has no video stream"):
        next(read_frames(silent))
    hollow = tmp_path / "hollow.y4m"
    hollow.write_text("YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n")
    for read in (probe, lambda path: next(read_frames(path))):
        with pytest.raises(InputError, match=r"hollow\.y4m: holds no frame"):
            read(hollow)
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"")
    with pytest.raises(InputError, match=r"empty\.mp4: cannot be opened as video: it is empty"):
        probe(empty)
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(InputError, match="has 0 bytes"):
        probe((tmp_path / "empty.png",))


def test_a_cut_video_is_an_error_not_a_short_clip(tmp_path: Path) -> None:
    for suffix in ("mkv", "mp4", "avi"):
        whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
        write_raw(whole, range(0, 4000, 40))
        assert len(list(read_frames(whole))) == 100
        data = whole.read_bytes()
        cut.write_bytes(data[: len(data) // 2])
        with pytest.raises(InputError, match=rf"cut\.{suffix}: .*"):
            list(read_frames(cut))


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_video_is_an_error_that_names_the_frame(clip: Path, seed: int) -> None:
    data = bytearray(clip.read_bytes())
    random = np.random.default_rng(seed)
    start = data.find(b"mdat") + 1200
    places = random.integers(start, data.find(b"moov") - 8, 60)
    data[:] = bytes(b ^ (0x5A if k in set(places.tolist()) else 0) for k, b in enumerate(data))
    clip.write_bytes(data)
    with pytest.raises(InputError, match=r"clip\.mp4: frame \d+ (is damaged|cannot be decoded)"):
        list(read_frames(clip))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_broken_bytes_anywhere_end_in_an_input_error(tmp_path: Path, suffix: str) -> None:
    path = write_raw(tmp_path / f"broken{suffix}", range(0, 240, 40))
    whole, random = path.read_bytes(), np.random.default_rng(7)
    refused = []
    for _ in range(80):
        data = np.frombuffer(whole, np.uint8).copy()
        data[random.integers(0, len(data), 12)] ^= random.integers(1, 256, 12, dtype=np.uint8)
        path.write_bytes(data.tobytes()[: random.integers(len(data) // 2, 2 * len(data))])
        try:
            assert len(list(read_frames(path))) <= 12
            probe(path)
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert all(str(path) in message for message in refused)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_a_cut_image_is_an_error_that_names_the_frame(tmp_path: Path, suffix: str) -> None:
    paths = [save(tmp_path / f"{k}{suffix}", picture(k)) for k in range(2)]
    paths[1].write_bytes(paths[1].read_bytes()[:-200])
    with pytest.raises(InputError, match=rf"1\{suffix}: frame 1 cannot be decoded"):
        list(read_frames(tuple(paths)))


def test_a_jpeg_that_decodes_with_complaints_is_damaged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "a.jpg", picture(0))
    (frame,) = read_frames((path,))
    whole = path.read_bytes()
    path.write_bytes(whole[:-2] + b"\0\0" + whole[-2:])  # as some cameras end their pictures
    np.testing.assert_array_equal(next(read_frames((path,))).image, frame.image)
    rotten = bytearray(whole)
    rotten[len(whole) // 2 : len(whole) // 2 + 40] = bytes(40)
    path.write_bytes(rotten)
    with pytest.raises(InputError, match=r"a\.jpg: frame 0 is damaged \(Corrupt JPEG data"):
        list(read_frames((path,)))
    assert capfd.readouterr().err == ""


def test_a_video_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotWritten, match=r"file/a\.mp4: cannot be written"):
        write_video(tmp_path / "file" / "a.mp4", iter([picture(0)]), 25)
    with pytest.raises(InputError, match="no frames to write"):
        write_video(tmp_path / "deep" / "a.mp4", iter([]), 25)
    assert list((tmp_path / "deep").iterdir()) == []


def test_text_is_neither_image_nor_video(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("onset 3, apex 9\n" * 40)
    with pytest.raises(InputError, match="cannot be opened as video"):
        probe(path)
    with pytest.raises(InputError, match="no image in a known format"):
        probe((path,))


def test_a_playlist_cannot_lead_to_another_file(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "list.mp4"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n")
    with pytest.raises(InputError, match="cannot be opened as video"):
        probe(path)
    path.write_text(f"ffconcat version 1.0\nfile '{clip}'\n")
    with pytest.raises(InputError, match="cannot be opened as video"):
        probe(path)


def png_of(width: int, height: int) -> bytes:
    """A well-formed PNG of any size in a few kilobytes per gigapixel."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    row = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(9000, 100), (100, 9000), (8000, 8000), (60000, 60000)])
def test_a_picture_bomb_is_refused_by_its_header(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(*size))
    with pytest.raises(InputError, match=r"bomb\.png: .*scale (it|them) down"):
        next(read_frames((path,)))


def test_a_giant_video_is_refused_before_decoding(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_SIDE_PX", 100)
    with pytest.raises(InputError, match=r"clip\.mp4: frames are 128×96, expected at most 100 px"):
        next(read_frames(clip))


def test_pixels_of_a_kind_no_camera_makes_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "float.tiff", np.ones((32, 32), dtype=np.float32))
    with pytest.raises(InputError, match="neither 8 nor 16 bits a channel"):
        next(read_frames((path,)))


def test_frames_in_memory_are_read_like_a_file() -> None:
    images = np.arange(3 * 4 * 5 * 3, dtype=np.uint8).reshape(3, 4, 5, 3)
    frames = list(read_frames(Held(images, 50.0), 1, 9))
    assert [(f.position, f.time_s) for f in frames] == [(1, 0.02), (2, 0.04)]
    assert np.array_equal(frames[1].image, images[2])
    assert next(read_frames(Held(images))).time_s is None
    info = probe(Held(images, 50.0))
    assert (info.width, info.height, info.fps, info.frame_count) == (5, 4, 50.0, 3)
    wrongs: list[Any] = [images.astype(np.float32), images[0], images[:0]]
    for wrong in wrongs:
        with pytest.raises(
            InputError, match=r"frames in memory are .*expected uint8 \(T, H, W, 3\)"
        ):
            next(read_frames(Held(wrong)))


def test_bits_per_pixel_are_told_where_rate_and_size_are_known() -> None:
    info = VideoInfo(10, 20, 50.0, 9, 0, 40_000, "h264")
    assert info.quality == {"bits_per_pixel": 4.0}
    assert replace(info, bit_rate=None).quality == replace(info, fps=None).quality == {}
