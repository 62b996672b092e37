from __future__ import annotations

import time
from typing import Any

from mecli.underway import Underway, note_share


def test_shares_of_tasks_are_heard_and_what_is_over_counts_whole() -> None:
    told: list[Any] = []
    with Underway(["a", "b", "c"], lambda *said: told.append(said)) as underway:
        note_share(underway.notes[1], 0.25)
        waited = time.monotonic() + 30
        while not told and time.monotonic() < waited:
            time.sleep(0.02)
        assert told[0] == (0.25, 3, "b", {"b": 0.25})
        note_share(underway.notes[0], 0.999)
        underway.finish(1)
        assert told[-1] == (1.99, 3, "b", {"a": 0.99})
        underway.finish(0)
        assert told[-1] == (2, 3, "a", {})
        folder = underway.notes[1].parent
    assert not folder.exists()


def test_nobody_has_to_listen() -> None:
    note_share(None, 0.5)
