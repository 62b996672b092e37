from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mecli.overheard import overheard

if TYPE_CHECKING:
    import pytest


def test_stderr_is_heard_not_shown_however_much_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    with overheard() as said:
        assert said() == ""
        os.write(2, b"oh\n")
        assert said() == "oh"
    with overheard():
        while True:
            try:
                os.write(2, bytes(1 << 15))
            except BlockingIOError:
                break
    os.write(2, b"shown\n")
    assert capfd.readouterr().err == "shown\n"
