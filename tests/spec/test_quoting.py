"""What somebody wrote is shown on one line that harms no terminal."""

from ticketlab.spec.quoting import code, listed, printable


def test_of_many_names_the_first_are_listed_and_the_others_counted() -> None:
    assert listed(range(12)).endswith("`10`, `11`")
    assert listed(range(13)).endswith("`10`, `11` and 1 more")
    assert listed(range(5), most=2) == "`0`, `1` and 3 more"


def test_long_text_is_cut_at_the_width_and_text_of_the_width_is_not() -> None:
    assert code("x" * 40) == f"`{'x' * 40}`"
    assert code("x" * 41) == f"`{'x' * 37}...`"


def test_control_characters_and_broken_bytes_are_shown_as_escapes() -> None:
    assert printable("a\x1b[31m\n") == "a\\x1b[31m\\n"
    assert printable(b"caf\xe9".decode(errors="surrogateescape")) == "caf\\udce9"
    assert printable("caf\u00e9") == "caf\u00e9"
