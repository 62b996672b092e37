"""The page and the figures on an evaluation, made from real runs over made-up clips."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mecli import cli
from mecli.train import TrainOptions, train
from tests.moving_records import records, write_cache

if TYPE_CHECKING:
    from pathlib import Path

RUNNER = CliRunner()
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two networks' runs, one of them leaked as well, and a model's that has no epochs."""
    place = tmp_path_factory.mktemp("runs")
    cache = write_cache(place / "c.h5", records())
    made = [
        TrainOptions(
            caches=(cache,),
            model=model,
            model_options={"steps": 2},
            epochs=epochs,
            jobs=0,
            runs=place / "runs",
            final=False,
            selection=selection,
        )
        for model, epochs, selection in (
            ("roi-flow-lstm", 2, "last"),
            ("roi-flow-lstm", 2, "oracle"),
            ("roi-flow-ridge", None, "last"),
        )
    ]
    first, second, third = (train(options).run for options in made)
    return first, second, third


def evaluated(*words: str | Path, code: int = 0) -> str:
    result = RUNNER.invoke(cli.app, ["evaluate", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.stdout + result.stderr


class Reader(HTMLParser):
    """Collect tags, and tags that were not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "link", "input", "use", "path", "rect"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.fixture(scope="module")
def page(runs: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "all.html"
    evaluated(*runs, "--report", path, "--resamples", "50")
    return path


def test_the_page_needs_nothing_else(page: Path) -> None:
    html = page.read_text()
    reader = read(html)
    for _, attributes in reader.tags:
        for name in ("src", "href"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:")), target
    assert "@import" not in html
    assert "url(" not in re.sub(r"url\((?:#|&quot;|data:)[^)]*\)", "", html)


def test_the_page_states_scores_protocol_and_what_is_missing(page: Path) -> None:
    html = page.read_text()
    for said in (
        "Leave-one-subject-out",
        "no held-out clip had a say",
        "Is the difference real?",
        "Which classes are told apart",
        "Hits by subject",
        "Loss on the TRAINING clips",
        "learning curves: roi-flow-ridge is not trained in epochs",
        "regions: the weights of the epochs that leaked are not kept",
    ):
        assert said in html, said
    assert html.count("LEAKED") > 3


def test_a_screen_reader_finds_its_way(page: Path) -> None:
    reader = read(page.read_text())
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("main") == tags.count("h1") == 1
    assert tags.count("table") == tags.count("caption") > 6
    (top,) = (attributes for tag, attributes in reader.tags if tag == "html")
    assert top["lang"] == "en"
    pictures = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert all(picture.get("alt") for picture in pictures)
    anchors = {(a.get("href") or "")[1:] for tag, a in reader.tags if tag == "a"}
    assert anchors <= {attributes.get("id") for _, attributes in reader.tags}


def test_the_same_run_gives_the_same_page(runs: tuple[Path, Path, Path], tmp_path: Path) -> None:
    one, two = tmp_path / "1.html", tmp_path / "2.html"
    for path in (one, two):
        evaluated(runs[2], "--report", path, "--resamples", "50")
    assert one.read_bytes() == two.read_bytes()


def test_figures_are_drawn_as_pdf_svg_and_png(
    runs: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        evaluated(runs[0], "--figures", folder, "--resamples", "50")
    names = {path.name for path in folders[0].iterdir()}
    kinds = ("scores", "confusion", "learning", "regions")
    assert names == {f"{kind}.{form}" for kind in kinds for form in ("pdf", "svg", "png")}
    for name in names:
        data = (folders[0] / name).read_bytes()
        assert data.startswith({".pdf": b"%PDF", ".svg": b"<?xml", ".png": b"\x89PNG"}[name[-4:]])
        assert data == (folders[1] / name).read_bytes()


def test_what_is_there_is_not_replaced_unasked(
    runs: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "p.html"
    path.write_text("mine")
    said = evaluated(runs[2], "--report", path, code=3)
    assert "p.html: exists; name another place, or replace it with --force" in said
    assert path.read_text() == "mine"
    evaluated(runs[2], "--report", path, "--force", "--resamples", "50")
    assert path.read_text().startswith("<!doctype html>")


def test_without_its_cache_a_run_is_told_from_its_scores(
    runs: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    path, other = tmp_path / "p.html", write_cache(tmp_path / "o.h5", records(subjects=3))
    evaluated(runs[2], "--report", path, "-c", other, "--resamples", "50")
    assert "the fingerprint differs" in path.read_text()
    evaluated(runs[2], "--report", path, "-c", tmp_path / "no.h5", "--force", "--resamples", "50")
    assert "say where it is now with --cache" in path.read_text()


def test_a_peers_table_has_no_weights_to_ask(runs: tuple[Path, Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "p.html"
    evaluated(runs[0] / "predictions.csv", "--report", path, "--resamples", "50")
    html = path.read_text()
    assert "regions: this is no run folder, so there are no weights to ask" in html
    assert "the predictions name no cache; say where with --cache" in html


_CLICK = """<script>addEventListener('load',()=>{
const table=[...document.querySelectorAll('table.sortable')].find(
t=>t.caption.textContent.startsWith('Hits by subject'));
const head=table.tHead.rows[0].cells[0],names=()=>[...table.tBodies[0].rows].map(
r=>r.cells[0].textContent).join();
const out=[];
for(let k=0;k<2;k++){head.querySelector('button').click();
out.push(head.getAttribute('aria-sort')+':'+names())}
document.title=out.join(' then ')})</script></body>"""


def browsed(page: Path, profile: Path, *more: str) -> str:
    """Return the page as Chromium has it after loading; nothing may be said on its console."""
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={profile}", *more, "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_opens_the_page_and_sorts_its_tables(page: Path, tmp_path: Path) -> None:
    assert 'aria-sort="none"' in browsed(page, tmp_path / "profile")
    # The page forbids every script but its own, so the clicks need a page that does not.
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    html, count = policy.subn("", page.read_text())
    assert count == html.count("</body>") == 1
    clicked = tmp_path / "clicked.html"
    clicked.write_text(html.replace("</body>", _CLICK))
    (title,) = re.findall(r"<title>(.*?)</title>", browsed(clicked, tmp_path / "profile"))
    up, down = (part.partition(":") for part in title.split(" then "))
    assert (up[0], down[0]) == ("ascending", "descending")
    assert up[2].split(",") == sorted(up[2].split(","))
    assert down[2].split(",") == up[2].split(",")[::-1]
