from __future__ import annotations

import itertools
import re

import pytest

from mecli import shards
from mecli.errors import UsageError
from mecli.shards import Shard


@pytest.mark.parametrize("of", [1, 3, 8, 20])
def test_all_shards_together_have_each_item_once(of: int) -> None:
    items = list(range(11))
    parts = [Shard(number, of).share(items) for number in range(1, of + 1)]
    assert sorted(itertools.chain(*parts)) == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_shard_is_read_as_it_is_written() -> None:
    assert shards.parse("3/8") == Shard(3, 8)
    assert str(Shard(3, 8)) == "3/8"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0/8", "--shard is 0/8, expected i/n with 1 <= i <= n (of a Slurm job: --array=1-n)"),
        ("9/8", "--shard is 9/8, expected"),
        ("3", "--shard is '3', expected i/n as in 3/8"),
        ("a/b", "--shard is 'a/b', expected i/n as in 3/8"),
    ],
)
def test_what_is_no_shard_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        shards.parse(text)
