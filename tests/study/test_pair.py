"""Two inputs explained together, by the verb and on the command line: which part met which, and whether it matters."""

import json
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest
from tests import folders
from tests.page.tiny import written

import classtoken as ct
from classtoken.cli import main
from classtoken.errors import OptionError
from classtoken.inputs import InputView
from classtoken.report.pair import pair_page
from classtoken.results.explain import TokenView
from classtoken.results.explain_pair import PairExplanation, PairInput
from classtoken.study.inputs import prepare_item
from classtoken.study.pair import names_of, regions_of
from classtoken.values import Role


def test_texts(minilm: Path) -> None:
    """Real words: what is alike meets."""
    found = ct.explain_pair(minilm, ["A cat sleeps.", "The kitten is napping."])
    assert found.similarity == pytest.approx(found.met + found.background)
    assert sum(map(sum, found.pairs)) == pytest.approx(found.met, abs=1e-4)
    named = {(found.item.called(m.region), found.other.called(m.other)) for m in found.strongest(3)}
    assert ("cat", "kitten") in named
    assert found.error == 0.0
    assert PairExplanation.from_json(found.to_json()) == found
    assert "cosine" in str(found)


def opposed() -> PairExplanation:
    """Pairs that nearly cancel: their sum is far below what some of them add."""
    one, two = (
        PairInput(name, "text", tuple(TokenView("content", word) for word in name), ((0,), (1,)), exact=True)
        for name in ("ab", "cd")
    )
    return PairExplanation(
        model="m",
        readout="cls",
        item=one,
        other=two,
        similarity=-0.4,
        met=-0.1,
        background=-0.3,
        error=0.0,
        pairs=((0.3, -0.5), (0.1, 0.0)),
    )


def test_a_share_is_of_what_pairs_of_the_same_sign_do() -> None:
    """Of their sum, which may be near zero or below it, a share may be 188 % or less than nothing."""
    found = opposed()
    assert found.together + found.apart == pytest.approx(found.met)
    assert [m.share for m in found.strongest()] == pytest.approx([0.75, 0.25])
    assert [(m.region, m.other, m.share) for m in found.strongest(apart=True)] == [(0, 1, pytest.approx(1.0))]
    assert "75 % of what pairs add (+0.400; others take away 0.500)" in found.conclusion
    assert "100 %   -0.5000  a  /  d" in str(found)
    assert "share: of what all pairs take away, -0.5000" in pair_page(found)


def test_the_same_text_twice(tmp_path: Path) -> None:
    found = ct.explain_pair(folders.tiny_bert(tmp_path / "bert"), ["a cat and a dog"] * 2)
    assert found.similarity == pytest.approx(1.0, abs=1e-6)
    assert not any(k.what.endswith("both have") for k in found.knockouts)  # that would be all of them


def test_words_that_the_tokenizer_does_not_know_are_not_shared_for_that() -> None:
    """All of them have one id."""

    def shared(one: str, other: str) -> set[str]:
        found = ct.explain_pair("builtin:sentiment", [one, other])
        return {k.what for k in found.knockouts if k.what.endswith("both have")}

    assert shared("\u0647\u0630\u0627 \u0641\u064a\u0644\u0645 good fun", "\U0001f469 bad dull thing") == set()
    both = {f"the words of the {which} that both have" for which in ("first", "second")}
    assert shared("\u0647\u0630\u0627 good fun thing", "\u0647\u0630\u0627 bad dull plot") == both
    assert shared("a GOOD caf\u00e9 here", "some good Cafe there") == both  # this tokenizer knows no case


def test_a_full_stop_is_no_word_that_both_have(tmp_path: Path) -> None:
    def shared(one: str, other: str) -> dict[str, int]:
        found = ct.explain_pair("builtin:sentiment", [one, other])
        return {k.what: len(k.tokens) for k in found.knockouts if k.what.endswith("both have")}

    assert shared("A warm (good) film, fun.", "The plot is thin, (dull) jokes.") == {}
    both = shared("A warm film, with fun.", "Some dull film, no jokes.")
    assert both == {f"the words of the {which} that both have": 1 for which in ("first", "second")}
    assert shared("A good film.", "A good film!") == {}  # that would be all of the words


def test_a_picture_and_a_text(tmp_path: Path) -> None:
    folder, file = folders.tiny_clip(tmp_path / "clip"), tmp_path / "a.png"
    folders.pictures(1)[0].save(file)
    for given in (str(file), folders.pictures(1)[0]):
        found = ct.explain_pair(folder, [given, "a cat"], tmp_path / "pair.html", overwrite=True)
        assert (found.item.modality, found.other.modality) == ("image", "text")
    page = (tmp_path / "pair.html").read_text()
    assert "What met what" in page
    assert "classtoken walkthrough" not in page  # one is of texts or of images
    assert "http:" not in page.replace("http://www.w3.org", "")


def test_pieces_of_one_word_are_one_part(minilm: Path) -> None:
    """Whatever marks the tokenizer sets; signs and words that only touch stay apart."""
    found = ct.explain_pair(minilm, ["An elderly hound napped, drowsily.", "A 4x4 unbelievableness"])
    assert found.item.names == ("An", "elderly", "hound", "napped", ",", "drowsily", ".")
    assert found.other.names == ("A", "4", "x", "4", "unbelievableness") or found.other.names[-1] == "unbelievableness"
    assert sorted(place for region in found.item.regions for place in region) == list(
        range(1, 1 + sum(map(len, found.item.regions)))
    )
    first, second, both = found.empty or (0.0, 0.0, 0.0)
    assert found.background == pytest.approx(first + second - both, abs=1e-6)
    assert f"({first:+.3f})" in found.of_background
    page = pair_page(found)
    assert "hangs on no pair" in page
    assert page.count("nothing taken away") >= len(found.knockouts)
    text = InputView("text", (Role.CONTENT,) * 4, ("un", "believ", "able", "!"), ((0, 2), (2, 8), (8, 12), (12, 13)),
                     (None,) * 4, text="Unbelievable!")  # fmt: skip
    assert names_of(text, ((0, 1, 2), (3,))) == ("Unbelievable", "!")


def test_regions_cover_every_patch_once(tmp_path: Path) -> None:
    given = prepare_item(ct.load(folders.tiny_vit(tmp_path / "vit")), folders.pictures(1)[0])
    regions = regions_of(given.tokens, 5, given.view)
    assert len(regions) <= 5
    assert sorted(place for region in regions for place in region) == list(range(1, 17))


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(folders.tiny_bert(tmp_path / "bert"))
    assert main(["explain", "a cat", "--with", "a dog and a cat", "--model", folder, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["pairs"]) == len(found["item"]["regions"])
    assert main(["explain", "a cat", "--with", "a dog", "--model", folder, "--quick"]) == 2
    assert "--quick" in capsys.readouterr().err
    assert main(["explain", "--with", "a dog", "--data", "x.csv", "--model", folder]) == 2


def test_a_file_is_no_text(tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    with pytest.raises(OptionError, match="name of a file"):
        ct.explain_pair(folder, ["a cat", "cat.png"])


def test_a_pair_is_two(tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    for items in (["a cat"], "ab"):
        with pytest.raises(OptionError, match="two inputs"):
            ct.explain_pair(folder, items)


def test_what_is_read_beside_patches_does_not_make_an_empty_input_readable(tmp_path: Path) -> None:
    """Class token and mean together: of an input without patches there is no vector, and parts count from nothing."""
    model = written("registers", tmp_path / "model")
    found = ct.explain_pair(model, folders.pictures(2), pooling="cls+mean")
    assert found.empty == (0.0, 0.0, 0.0)
    assert found.background == pytest.approx(0.0, abs=1e-6)
    assert found.met == pytest.approx(found.similarity)


def test_a_pair_ends_with_the_command_that_walks_both_through(tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    ct.explain_pair(folder, ["a cat's dog", "the red dog"], tmp_path / "pair.html")
    command = f"""classtoken walkthrough 'a cat'"'"'s dog' 'the red dog' --model {folder} --out page.html"""
    assert f"<pre>{escape(command)}</pre>" in (tmp_path / "pair.html").read_text()


def test_a_list_of_what_brings_two_together_has_an_entry_or_is_not_there() -> None:
    found = replace(opposed(), pairs=((-0.3, -0.5), (-0.1, 0.0)), met=-0.9)
    said = str(found)
    assert "of what pairs add (" not in said
    assert "of what pairs take away (-0.9000): part of the first  /  of the second" in said
    both = str(opposed())
    assert "of what pairs add (+0.4000): part of the first  /  of the second" in both
    assert "of what pairs take away (-0.5000)\n" in both
