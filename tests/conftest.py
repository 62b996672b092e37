from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from mecli.extract import ExtractOptions, extract

# The suite shares two cores with its own worker pools: a deadline would measure those.
settings.register_profile("mecli", deadline=None)
settings.load_profile("mecli")

SAMPLE = Path(__file__).parent.parent / "sample_data"


@pytest.fixture(scope="session")
def sample() -> Path:
    return SAMPLE


@pytest.fixture(scope="session")
def sample_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of sample_data, extracted once for the whole session; copy it before changing it."""
    path = tmp_path_factory.mktemp("sample") / "mecli.h5"
    summary = extract([str(SAMPLE)], path, ExtractOptions(landmarks="embedded"))
    assert not summary.failures
    return path
