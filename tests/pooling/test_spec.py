"""Names of poolings: parse and print are inverse, one readout has one name, errors say the way out."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classtoken.errors import SpecError
from classtoken.pooling import make
from classtoken.pooling.spec import Spec, Term, parse, parse_many
from classtoken.pooling.table import POOLINGS, About

ARGUMENTS = {
    "none": st.none(),
    "index": st.none() | st.integers(0, 12),
    "count": st.none() | st.integers(1, 64),
    "power": st.none() | st.just("learned") | st.integers(1, 100) | st.floats(0.1, 100),
}


@st.composite
def terms(draw: st.DrawFn) -> Term:
    name = draw(st.sampled_from(sorted(POOLINGS)))
    argument = draw(ARGUMENTS[POOLINGS[name].argument])
    layer = None if name == "pooler" else draw(st.none() | st.integers(-30, 30))
    return Term(name, argument, layer, draw(st.booleans()))


# Lists, not Specs: while tests run beartype looks at a random item of a tuple, and a strategy must not be random.
several = st.lists(terms(), min_size=1, max_size=4, unique=True)


@given(several)
def test_printed_and_read_again_is_the_same(found: list[Term]) -> None:
    spec = Spec(tuple(found))
    assert parse(str(spec)) == spec
    assert str(parse(str(spec))) == str(spec)


@given(several, st.sampled_from(["", " ", "  "]), st.sampled_from(["", " "]))
def test_spaces_between_parts_say_nothing(found: list[Term], before: str, after: str) -> None:
    assert parse("+".join(f"{before}{term}{after}" for term in found)) == Spec(tuple(found))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("cls", "cls"),
        ("cls+mean@-2", "cls+mean@-2"),
        ("mean@-1n", "mean"),
        ("mean@-1", "mean@-1"),
        ("mean@0n", "mean@0n"),
        ("gem(3)", "gem"),
        ("gem(3.0)@6n", "gem@6n"),
        ("gem(2.50)", "gem(2.5)"),
        ("gem(learned)", "gem(learned)"),
        ("queries(32)", "queries"),
        ("queries(4)", "queries(4)"),
        ("map(12)", "map(12)"),
        ("cls(0)+cls(1)", "cls(0)+cls(1)"),
    ],
)
def test_one_readout_has_one_name(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


def test_a_layer_binds_to_its_own_term() -> None:
    first, second = parse("cls+mean@-2").terms
    assert (first.layer, second.layer) == (None, -2)


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("cls", None),
        ("cls@-1n", None),
        ("cls@0", "embeddings"),
        ("cls@1", 0),
        ("cls@12", 11),
        ("cls@-1", 11),
        ("cls@-12", 0),
        ("cls@12n", 11),
    ],
)
def test_blocks_as_the_encoder_counts_them(text: str, block: int | str | None) -> None:
    assert parse(text).terms[0].block(12) == block


@given(st.integers(1, 30))
def test_from_the_front_and_from_the_end_meet(depth: int) -> None:
    for k in range(1, depth + 1):
        assert Term("mean", layer=k).block(depth) == Term("mean", layer=k - depth - 1).block(depth) == k - 1


def test_every_layer_is_asked_for_once() -> None:
    assert parse("cls+mean@-2+max@11+mean@0+cls@12").blocks(12) == (10, "embeddings", 11)


@pytest.mark.parametrize("layer", [13, -13])
def test_a_block_that_is_not_there(layer: int) -> None:
    with pytest.raises(SpecError, match=r"layer -?13, and this encoder has 12 blocks.*@12.*@-12"):
        parse(f"mean@{layer}").blocks(12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a pooling must be named"),
        ("  ", "a pooling must be named"),
        ("cls+", "a name is missing"),
        ("+cls", "a name is missing"),
        ("@3", "a name is missing"),
        ("(3)", "a name is missing"),
        ("maen", "'maen'.*Did you mean mean"),
        ("CLS", "'CLS'.*Did you mean cls"),
        ("weigthed", "Did you mean weighted"),
        ("lasttoken", "Did you mean last"),
        ("zzz", r"no pooling 'zzz'\. There are cls, mean"),
        ("cls@", "layer @ of 'cls@' cannot be read"),
        ("cls@x", "layer @x"),
        ("cls@-0", "layer @-0"),
        ("cls@06", "layer @06"),
        ("cls@1.5", "layer @1.5"),
        ("cls@6N", "layer @6N"),
        ("cls@2@3", "cannot be read"),
        ("mean(3)", r"mean\(3\).*takes nothing in parentheses"),
        ("gem()", "empty"),
        ("gem(0)", r"gem\(0\).*power from 0.1 to 100, or learned"),
        ("gem(nan)", r"gem\(nan\)"),
        ("gem(1e99)", r"gem\(1e\+99\)"),
        ("gem(learnt)", r"gem\(learnt\)"),
        ("queries(0)", r"queries\(0\).*number of queries"),
        ("queries(2.5)", r"queries\(2.5\)"),
        ("map(many)", r"map\(many\).*number of heads"),
        ("cls(-1)", r"cls\(-1\).*from 0"),
        ("gem(3", "cannot be read"),
        ("cls)", "cannot be read"),
        ("pooler@-2", "pooler takes no layer"),
        ("cls+mean+cls", "names 'cls' twice"),
        ("gem+gem(3)", "names 'gem' twice"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@given(st.text(alphabet="clsmean+@-0123456789n() .,x", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        spec = parse(text)
    except SpecError:
        return
    assert parse(str(spec)) == spec


def test_names_used_elsewhere_are_no_names_of_ours_and_lead_to_one() -> None:
    elsewhere = [name for row in POOLINGS.values() for name in row.elsewhere]
    assert not set(elsewhere) & set(POOLINGS)
    assert len(set(elsewhere)) == len(elsewhere)
    with pytest.raises(SpecError, match="Did you mean last"):
        parse("eos")


@pytest.mark.parametrize("row", [row for row in POOLINGS.values() if row.code], ids=lambda row: row.name)
def test_a_row_names_the_class_that_computes_it(row: About) -> None:
    pooling = make(row.name, 32, positions=4)
    assert f"{type(pooling).__module__}:{type(pooling).__name__}" == row.code
    assert (type(pooling).__doc__ or "").startswith(f"`{row.name}")


def test_learned_poolings_are_known_by_name() -> None:
    assert {name for name, about in POOLINGS.items() if about.learned} == {"map", "queries", "multihead", "weighted"}
    assert parse("gem(learned)").learned
    assert not parse("cls+gem").learned
    assert parse("cls+map@-2").learned


def test_several_for_one_pass() -> None:
    assert [str(spec) for spec in parse_many("cls, cls+mean@-2 ,gem(3),gem")] == ["cls", "cls+mean@-2", "gem"]


def test_names_need_no_torch() -> None:
    code = "import sys, classtoken.pooling.spec; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
