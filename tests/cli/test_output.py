"""Lines of an answer: sentences are folded, rows of tables and commands are not."""

from classtoken.cli.output import in_lines

LONG = "the words of a sentence that goes on and on"


def test_sentences_go_on_behind_their_title() -> None:
    text = in_lines(f"note   {LONG}\n  indented: {LONG}\n{LONG}\nshort", 30)
    assert text.split("\n") == [
        "note   the words of a sentence",
        "       that goes on and on",
        "  indented: the words of a",
        "    sentence that goes on and",
        "    on",
        "the words of a sentence that",
        "goes on and on",
        "short",
    ]


def test_rows_commands_and_long_words_stay_whole() -> None:
    row = "0.81  t1  a text that is longer than the line is wide"
    command = '  next: classtoken predict "a text" --model "a folder with a long name"'
    path = "wrote /a/path/that/is/much/longer/than/thirty/signs.html"
    assert in_lines(f"{row}\n{command}", 30) == f"{row}\n{command}"
    assert in_lines(path, 30) == "wrote\n/a/path/that/is/much/longer/than/thirty/signs.html"


def test_nothing_is_lost_and_what_fits_is_as_it_was() -> None:
    text = f"  {LONG}, {LONG}\n\n   a  b\n"
    assert in_lines(text, 200) == text
    assert in_lines(text, 20).split() == text.split()
