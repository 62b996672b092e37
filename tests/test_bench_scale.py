from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mecli.bench.scale import BenchScaleOptions, bench_scale
from mecli.cli import app
from mecli.errors import UsageError
from tests import published

if TYPE_CHECKING:
    from pathlib import Path


def test_each_size_is_written_read_and_trained(tmp_path: Path) -> None:
    told: list[str] = []
    options = BenchScaleOptions((20, 40), tmp_path, 1)
    small, large = bench_scale(options, progress=lambda *step: told.append(step[2]))
    assert (small["clips"], large["clips"]) == (20, 40)
    assert (small["subjects"], large["subjects"]) == (3, 6)
    assert large["cache_gb"] > small["cache_gb"] > 0
    assert all(row[name] >= 0 for row in (small, large) for name in row)
    assert large["loso_h"] >= small["loso_h"]
    # Parts are made here, merging is another process: both are work of the processor.
    assert 0 < small["parts_cpu_s"] < large["parts_cpu_s"]
    assert all(small[f"{name}_cpu_s"] > 0 for name in ("merge", "one_more", "read", "features"))
    assert small["cpu_s_per_fold"] > 0
    assert told == ["20 clips", "40 clips"]
    assert list(tmp_path.iterdir()) == []


def test_sizes_have_to_be_large_enough() -> None:
    with pytest.raises(UsageError, match="--sizes names"):
        BenchScaleOptions((442, 3))
    with pytest.raises(UsageError, match="--jobs is 0"):
        BenchScaleOptions(jobs=0)


@pytest.mark.parametrize("flags", [["--json"], []])
def test_the_command_tells_each_size(flags: list[str], tmp_path: Path) -> None:
    argv = ["bench", "scale", "--sizes", "20", "--jobs", "1", "--folder", str(tmp_path), *flags]
    result = CliRunner().invoke(app, argv)
    assert result.exit_code == 0, result.output
    if flags:
        (row,) = json.loads(result.stdout)
        published.check("bench-scale", [row])
        assert row["clips"] == 20
    else:
        assert "bench scale, clips" in result.stdout
        assert "one more s" in result.stdout
