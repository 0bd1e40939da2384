"""The report of a comparison says what counts in words, in one colour a candidate, and hides nothing."""

import re
from dataclasses import replace
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import pytest

from classtoken.report import colour
from classtoken.report.compare import comparison_page
from classtoken.report.html import breakable
from classtoken.results.compare import CompareResult, read_result
from classtoken.results.compare_words import left_out_in_words, score_in_words, smallest_in_words
from classtoken.values import Rejected

STUDIES = Path(__file__).resolve().parents[2] / "docs" / "studies" / "compare"


@pytest.fixture(scope="module")
def found() -> CompareResult:
    return read_result(STUDIES / "clothing-classification.json")


def figures(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(drawn) for drawn in re.findall(r"<svg.*?</svg>", page, re.S)]


def colours(figure: ElementTree.Element) -> dict[str, str]:
    """The colour of every mark by the name that its title begins with."""
    marks = [node for node in figure.iter() if node.tag.endswith("circle")]
    said = [(next(iter(node)).text or "", node.get("fill"), node.get("stroke")) for node in marks]
    return {words.split(":")[0]: str(stroke if fill == "none" else fill) for words, fill, stroke in said}


def test_a_candidate_has_one_colour_in_all_charts(found: CompareResult) -> None:
    drawn = [colours(figure) for figure in figures(comparison_page(found))]
    assert len(drawn) == 3  # ranking, by layer, cost
    for name in ("cls", "mean", "max", "gem"):
        assert len({some[name] for some in drawn}) == 1
        assert drawn[0][f"{name} at its best layer"] == drawn[0][name]
    own = [drawn[0][one.name] for one in found.candidates if one.role == "candidate" and "best layer" not in one.name]
    assert len(set(own)) == len(own) <= len(colour.SERIES)
    control = next(one.called for one in found.candidates if one.role == "control")
    assert drawn[0][control] == colour.CONTROL


def test_groups_are_headings_in_words_and_no_numbers_before_names(found: CompareResult) -> None:
    ranking = " ".join(figures(comparison_page(found))[0].itertext())
    assert "the best, and all that these items do not tell apart from it" in ranking
    assert "clearly worse than cls+mean" in ranking
    assert not re.search(r"\b1 +cls", ranking)
    said = str(found)
    assert said.index("do not tell apart") < said.index("  cls ") < said.index("clearly worse than cls+mean")
    assert max(len(line) for line in said.splitlines()[:20]) <= 130


def test_a_matrix_has_names_and_no_zeros(found: CompareResult) -> None:
    page = comparison_page(found)
    heat = re.findall(r'<table class="heat">.*?</table>', page, re.S)
    assert len(heat) == 2
    assert ">0<" not in heat[1]
    for label in found.confusion.labels if found.confusion else ():
        assert breakable(f'<th scope="col"><span>{escape(label)}</span></th>') in heat[1]
        assert breakable(f'<th scope="row">{escape(label)}</th>') in heat[1]


def test_what_is_left_out_is_named_and_the_smallest_difference_stands_once(found: CompareResult) -> None:
    some = tuple(Rejected(f"T-{n}", "has no label") for n in range(7))
    other = replace(found, refused=(*some, Rejected("x", "is the only one of its class 'x'")), detectable_before=0.08)
    for said in (str(other), comparison_page(other).replace("&#x27;", "'")):
        assert "7 items (T-0, T-1, T-2, T-3, T-4 and 2 others): has no label" in said
        assert "1 item (x): is the only one of its class 'x'" in said
        assert said.count("is found here in 4 of 5 such comparisons") == 1
        assert "expected before the run: 8.0 points" in said
    assert all(f">T-{n}<" in comparison_page(other) for n in range(7))
    many = [Rejected(str(n), f"reason {n}") for n in range(20)]
    assert left_out_in_words(many)[-1] == "8 items for 8 other reasons, named in the result"


@pytest.mark.parametrize(
    ("metric", "low", "high", "said"),
    [
        ("accuracy", 0.92, 0.986, "96.4 % accuracy (92-99)"),
        ("accuracy", 0.955, 0.971, "96.4 % accuracy (95.5-97.1)"),
        ("accuracy", float("-inf"), float("inf"), "96.4 % accuracy"),
        ("spearman", 0.95, 0.97, "Spearman correlation 0.964 (0.950 to 0.970)"),
    ],
)
def test_scores_in_words(metric: str, low: float, high: float, said: str) -> None:
    assert score_in_words(0.964, low, high, metric) == said


def test_no_expectation_is_told_where_there_was_none() -> None:
    assert smallest_in_words(0.018, 0.0, "spearman") == (
        "a true difference of 0.018 between two candidates is found here in 4 of 5 such comparisons, a smaller one "
        "less often"
    )
