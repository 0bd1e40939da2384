"""The frame that every report shares."""

from classtoken.report.html import Section, page


def test_contents_stand_before_several_sections_alone() -> None:
    """One section is its own contents; folded ones are."""
    one, two = Section("First", "a", ""), Section("Second", "b", "")
    assert "<nav" not in page("title", "lead", [one])
    assert page("title", "lead", [one, two]).count('<a href="#s') == 2
