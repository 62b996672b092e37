from __future__ import annotations

from mecli.errors import InputError, UnknownName


def test_a_message_is_one_line_whatever_a_file_would_say() -> None:
    hostile = InputError("clip a\nb\x1b[31m \u202e \udcff ä×: no face")
    assert str(hostile) == r"clip a\nb\x1b[31m \u202e \udcff ä×: no face"
    assert str(UnknownName("model", "a\nb", ("x",))) == r"unknown model 'a\nb' (known: x)"
    assert str(InputError("x" * 10_000 + "end")).endswith("xend")
    assert len(str(InputError("x" * 10_000))) == 2003
