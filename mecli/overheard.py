"""What C libraries print on stderr, heard instead of shown."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ONE_AT_A_TIME = threading.Lock()
_MOST_BYTES = 1 << 16


@contextlib.contextmanager
def overheard() -> Iterator[Callable[[], str]]:
    """Keep off the terminal what is printed on stderr inside; yield how to ask for it.

    The whole process is deaf meanwhile, so that this is for one quick call at a time.
    """
    with _ONE_AT_A_TIME:
        ours, its = os.pipe()
        before = os.dup(2)
        # More than a pipe holds is dropped instead of waited for.
        os.set_blocking(its, False)
        os.set_blocking(ours, False)
        os.dup2(its, 2)
        try:
            yield lambda: _read(ours)
        finally:
            os.dup2(before, 2)
            for handle in (ours, its, before):
                os.close(handle)


def _read(pipe: int) -> str:
    try:
        return os.read(pipe, _MOST_BYTES).decode(errors="replace").strip()
    except BlockingIOError:
        return ""
