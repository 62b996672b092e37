"""Look for damage that reaches new code: ``python -m tests.fuzz.guided READER SECONDS``.

Needs ``pip install -e '.[fuzz]'``. Only what mecli itself parses is worth it: tables, runs,
landmarks. A finding stops the search and is kept as ``crash-…`` in the folder of the call.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris


def main() -> None:
    """Search until the time is over; libFuzzer leaves the process with its own exit code."""
    name, seconds, *rest = sys.argv[1:]
    folder = Path(tempfile.mkdtemp(prefix="mecli-guided-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    # What a reader imports only when it reads has to be counted too.
    with atheris.instrument_imports(include=["mecli"]):
        from mecli.errors import MecliError
        from tests.fuzz.readers import READERS

        reader = READERS[name]
        seeds = reader.seeds()
        names = [file for file in seeds if file not in reader.kept]
        for number, (file, data) in enumerate(seeds.items()):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(data)
            if file in names:
                (corpus / str(number)).write_bytes(bytes([names.index(file)]) + data)
        for file in names:
            reader.read(folder, file)

    def one(data: bytes) -> None:
        file = names[data[0] % len(names)] if data else names[0]
        (folder / file).write_bytes(data[1:])
        try:
            reader.read(folder, file)
        except MecliError:
            return
        finally:
            (folder / file).write_bytes(seeds[file])

    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1536", "-max_len=20000"]
    atheris.Setup([sys.argv[0], *limits, *rest, os.fspath(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
