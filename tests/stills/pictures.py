"""The pictures of the README: terminals, rendered heads, a film's frame, pages."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mecli.errors import MissingDependency
from mecli.video import read_frames
from tests.stills import draw
from tests.stills.terminal import Take, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

SAMPLE = Path(__file__).parents[2] / "sample_data"
COLUMNS = 134
_CLIP = "sample_data/clips/s02_01.mp4"
_FIRST = ("extract sample_data", "train", "evaluate", f"predict {_CLIP}")
_HEADS = (
    "synth heads --subjects 24 --clips 1 --pairs-only --distractors 0 --seed 2 --mm 2,2.5"
)  # fmt: skip
_ACROSS, _HEAD = 6, (176, 194)
_SHOWN = ("Which classes are told apart", "Where the answers come from", "The hardest clips")


class Studio:
    """A folder with sample_data in it, in which each command is run once."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "faces"
        self._takes: dict[str, Take] = {}
        self.folder.mkdir()
        (self.folder / "sample_data").symlink_to(SAMPLE)

    def take(self, command: str) -> Take:
        """Return what ``mecli command`` shows on a terminal."""
        if command not in self._takes:
            words = [sys.executable, "-m", "mecli", *command.split()]
            environment = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "CI": "",
                           "HOME": str(self.home), "PYTHONPATH": str(SAMPLE.parent)}  # fmt: skip
            shown = f"mecli {command}".strip()
            self._takes[command] = watch(shown, words, self.folder, environment, COLUMNS)
        return self._takes[command]

    def trained(self) -> None:
        """Make sure that cache and run are there."""
        for command in _FIRST[:2]:
            self.take(command)


def terminal(studio: Studio) -> bytes:
    """Return the film of a first run."""
    return draw.film([studio.take(command) for command in _FIRST], COLUMNS).encode()


def where(studio: Studio) -> bytes:
    """Return what ``mecli`` says without a verb, after a first run."""
    studio.trained()
    return draw.still(studio.take(""), COLUMNS).encode()


def heads(studio: Studio) -> bytes:
    """Return a contact sheet of people who do not exist, each at the apex."""
    studio.take(_HEADS)
    apexes = sorted((studio.folder / "heads" / "clips").iterdir())
    size = (_HEAD[0] * _ACROSS, _HEAD[1] * (len(apexes) // _ACROSS))
    sheet = Image.new("RGB", size)
    for place, clip in enumerate(apexes):
        picture = Image.open(sorted(clip.iterdir())[-1]).convert("RGB").resize(_HEAD)
        sheet.paste(picture, (place % _ACROSS * _HEAD[0], place // _ACROSS * _HEAD[1]))
    return _encoded(sheet, "JPEG", 82)


def overlay(studio: Studio) -> bytes:
    """Return the frame at the apex of the film that ``predict --overlay`` draws."""
    studio.trained()
    studio.take(f"predict {_CLIP} --overlay overlay.mp4 --report report.html")
    frames = [frame.image for frame in read_frames(studio.folder / "overlay.mp4")]
    return _encoded(Image.fromarray(frames[_apex(studio)]), "JPEG", 85)


def report(studio: Studio) -> bytes:
    """Return the page that ``predict --report`` writes."""
    overlay(studio)
    return _photographed(studio, (studio.folder / "report.html").read_text(), 1060)


def evaluation(studio: Studio) -> bytes:
    """Return parts of the page that ``evaluate --report`` writes."""
    studio.trained()
    studio.take("evaluate --report evaluation.html")
    page = (studio.folder / "evaluation.html").read_text()
    first, *parts = re.split(r"(?=<h3>)", page)
    kept = [part for part in parts if part.removeprefix("<h3>").startswith(_SHOWN)]
    one, article, _ = kept[-1].partition("</article>")
    return _photographed(studio, "".join([first, *kept[:-1], one, article]), 1000)


PICTURES: Mapping[str, Callable[[Studio], bytes]] = {
    "terminal.svg": terminal,
    "map.svg": where,
    "heads.jpg": heads,
    "overlay.jpg": overlay,
    "report.png": report,
    "evaluation.png": evaluation,
}


def _apex(studio: Studio) -> int:
    words = [sys.executable, "-m", "mecli", "predict", _CLIP, "--json"]
    said = subprocess.run(words, cwd=studio.folder, capture_output=True, text=True, check=True)
    apex: int = json.loads(said.stdout)["interval"]["apex"]
    return apex


def _photographed(studio: Studio, page: str, width: int) -> bytes:
    """Return `page` as Chromium shows it, without the paper below."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise MissingDependency("pages are photographed by Chromium; install it, or use --only")
    source, picture = studio.folder / "page.html", studio.folder / "page.png"
    source.write_text(page)
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         f"--user-data-dir={studio.folder / 'browser'}", f"--window-size={width},6000",
         f"--screenshot={picture}", source.as_uri()],
        check=True, capture_output=True,
    )  # fmt: skip
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    used = np.flatnonzero((pixels != pixels[-1, 0]).any(axis=(1, 2)))[-1]
    return _encoded(Image.fromarray(pixels[: used + 24]), "PNG")


def _encoded(picture: Image.Image, form: str, quality: int = 75) -> bytes:
    data = io.BytesIO()
    picture.save(data, form, optimize=True, quality=quality)
    return data.getvalue()
