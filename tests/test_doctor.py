from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from mecli import cli, doctor
from tests import published

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from mecli.report.doctor import Finding

Usage = namedtuple("Usage", "total used free")


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, ["doctor", *arguments])


def by_name(findings: list[dict[str, Any]], topic: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in findings if one["topic"] == topic}


def test_a_machine_that_has_all_is_healthy_and_judges_a_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    result = run("--json")
    assert result.exit_code == 0, result.stdout
    told = json.loads(result.stdout)
    published.check("doctor", told)
    assert told["healthy"]
    findings = told["findings"]
    assert by_name(findings, "packages")["torch"]["state"] == "ok"
    assert "h264" in by_name(findings, "video")["decoders"]["said"]
    wanted = by_name(findings, "landmarks")["face-alignment: 2DFAN4-11f355bf06.pth.tar"]
    assert wanted["state"] == "note"
    assert wanted["said"].startswith(f"landmarks: {tmp_path}/torch/hub/checkpoints/")
    tested = by_name(findings, "self-test")
    assert tested["extract"]["said"] == "1 clip with embedded landmarks"
    assert tested["predict"]["said"].split()[0] in {"negative", "positive", "surprise"}
    assert told["here"]["next"] == ["mecli", "extract", "SOURCE"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_told_with_what_to_do_and_leaves_with_4(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mecli.filming.ENCODER", "no-such-codec")
    monkeypatch.setattr("mecli.doctor.DECODERS", ("h264", "no-such-codec"))
    result = run("--no-self-test")
    assert result.exit_code == 4
    assert "1 missing:\nencoder: no-such-codec, for synth and --overlay (pip install" in (
        result.stdout
    )
    assert "no-such-codec: convert such clips" in result.stdout
    assert "self-test" not in result.stdout


def test_a_package_that_cannot_be_imported_is_a_finding() -> None:
    def looked() -> Iterator[Finding]:
        import nowhere.at_all  # type: ignore[import-not-found]

        yield nowhere

    (found,) = doctor._guarded(looked)
    assert (found.state, found.name) == ("missing", "nowhere")
    assert found.do == "pip install --upgrade nowhere"


def test_a_checkpoint_that_is_broken_fails_the_self_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bundled.safetensors"
    broken.write_bytes(b"no weights")
    monkeypatch.setattr("mecli.checkpoints.bundled", lambda _name="": broken)
    findings = list(doctor._self_test())
    assert [one.name for one in findings] == ["synth", "extract", "failed"]
    assert str(broken) in findings[-1].said


def test_a_full_disk_is_worth_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10, 9, 5_000_000))
    options = doctor.DoctorOptions(cache=tmp_path / "c.h5", runs=tmp_path / "not" / "yet")
    notes = list(doctor._folders(options))
    assert {one.state for one in notes} == {"note"}
    assert notes[2].said == f"{tmp_path}: only 0.0 GB free"


def test_a_folder_that_cannot_be_written_to_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever runs the tests as root may write everywhere.
    monkeypatch.setattr("os.access", lambda path, _mode: path != tmp_path)
    options = doctor.DoctorOptions(cache=tmp_path / "c.h5", runs=Path())
    found = {one.name: one for one in doctor._folders(options)}
    assert found["cache"].state == "missing"
    assert found["cache"].said == f"{tmp_path} cannot be written to"
    assert found["runs"].state != "missing"
