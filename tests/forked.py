"""Commands of mecli in a fork of this process, which has loaded everything already."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from mecli import cli

if TYPE_CHECKING:
    from collections.abc import Callable


def become(words: list[str], before: Callable[[], None] = lambda: None) -> NoReturn:
    """Be ``mecli WORDS`` from here on, after `before`, and leave with its exit code."""
    sys.argv = ["mecli", *words]
    # The old ones believe that 1 and 2 are still the files they were opened for.
    sys.stdout, sys.stderr = (os.fdopen(k, "w", buffering=1, closefd=False) for k in (1, 2))
    code = 1
    try:
        before()
        cli.app(words, prog_name="mecli")
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - a bug, told as Python would
        sys.stderr.write(f"Traceback: {error!r}\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
