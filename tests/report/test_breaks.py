"""Long names break where a reader would break them, on every page, and nothing else is touched."""

from classtoken.report.html import Section, breakable, page


def test_names_break_behind_their_joints() -> None:
    name = "cash_withdrawal_charge"
    assert breakable(f"<td>{name}</td>") == "<td>cash_<wbr>withdrawal_<wbr>charge</td>"
    assert breakable("<p>photos/learn/IMG-0001.jpg</p>") == "<p>photos/<wbr>learn/<wbr>IMG-<wbr>0001.<wbr>jpg</p>"


def test_what_is_short_or_no_text_stays_as_it_is() -> None:
    for html in (
        "<p>no-one has 1234.56789 of them</p>",
        '<img src="data:image/png;base64,aaaa/bbbb/cccc/dddd" alt="a_long_name_of_a_file.jpg">',
        "<svg><text>a_long_name_of_a_label</text></svg>",
        "<pre>classtoken embed a_long_name_of_a_file.csv</pre>",
        "<style>.a{overflow-wrap:anywhere;grid-template-columns:auto}</style>",
        "<title>a_long_name_of_a_page</title>",
        "<p>----------------------</p>",
    ):
        assert breakable(html) == html


def test_marks_of_html_are_never_taken_apart() -> None:
    assert breakable("<p>&#x27;a_long_label_name&#x27;</p>") == "<p>&#x27;a_<wbr>long_<wbr>label_<wbr>name&#x27;</p>"
    assert breakable("<p>a_long_label&amp;b_long_name</p>") == "<p>a_<wbr>long_<wbr>label&amp;b_<wbr>long_<wbr>name</p>"


def test_every_page_is_made_so() -> None:
    assert "balance_<wbr>not_<wbr>updated" in page("t", "l", [Section("s", "balance_not_updated", "")])


def test_words_from_right_to_left_leave_their_sentence_in_order() -> None:
    name = "\u0642\u0631\u0634 \u0623\u0628\u064a\u0636"
    assert breakable(f"<p>{name} 37.3 %, b</p>") == f"<p><bdi>{name}</bdi> 37.3 %, b</p>"
    command = f"<pre>classtoken walkthrough '{name}'</pre>"
    assert breakable(command) == command
