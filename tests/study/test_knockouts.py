"""Cuts in the words of the command line, each in every mode, against what the interventions themselves give."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests import folders

from classtoken.cli import main
from classtoken.embedder import Embedder, load
from classtoken.errors import OptionError
from classtoken.jobs.explain import explain
from classtoken.options import ExplainOptions
from classtoken.probe.from_embedder import subject_of
from classtoken.probe.interventions import CutEdges, Mode, PatchStates, cut_heads, cut_layers, cut_tokens
from classtoken.probe.removal import remove
from classtoken.probe.subject import Subject
from classtoken.probe.traced import PARTS, trace
from classtoken.report.verdict import verdict
from classtoken.results.explain import Explanation
from classtoken.study.cuts import Cut, parse_cut
from classtoken.study.knockouts import Bench, most_attended_in, tenth
from classtoken.tensors import Tokens
from classtoken.values import Role

ROLES = (Role.CLASS, Role.REGISTER, *(Role.CONTENT,) * 6, Role.END)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return load(folders.tiny_vit(tmp_path_factory.mktemp("vit"), head=True))


@pytest.fixture(scope="module")
def bench(vit: Embedder) -> Bench:
    one, *others = (trace(subject_of(vit), vit.tokens([picture]), (*PARTS, "heads")) for picture in folders.pictures(3))
    return Bench(one, 1, tuple(others))


def value(subject: Subject, tokens: Tokens, edit: object) -> float:
    with torch.no_grad():
        return float(subject.probability(subject(tokens, edit), 1))  # type: ignore[arg-type]


def test_tokens_by_number_by_place_among_the_content_and_by_role() -> None:
    assert parse_cut("tokens:2,p3-p5", ROLES, 4, 3).keys == (2, 5, 6, 7)
    assert parse_cut("tokens:register,end,1", ROLES, 4, 3).keys == (1, 8)
    edges = parse_cut("edges:class>p0,p1@1-2", ROLES, 4, 3)
    assert (edges.readers, edges.keys, edges.layers) == ((0,), (2, 3), (1, 2))
    assert parse_cut("heads:2.1,0.0", ROLES, 4, 3).heads == ((2, 1), (0, 0))
    assert parse_cut("feedforward:1,3", ROLES, 4, 3).layers == (1, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("magic:3", "'magic:3' is no cut; write tokens:"),
        ("tokens:", "is no cut"),
        ("heads:1.1@2", "is no cut"),
        ("tokens:9", "there is no token 9; the last is 8"),
        ("tokens:p6", "there is no token p6; the last is p5"),
        ("tokens:distillation", "no token of the role distillation"),
        ("tokens:cat", "'cat' is no token; write a number"),
        ("edges:p1", "names no edges; write readers > read"),
        ("heads:4.0", "there is no head '4.0'; write layer.head: layers 0 to 3, heads 0 to 2"),
        ("heads:1", "there is no head '1'"),
        ("layers:4", "there is no layer '4'; layers are 0 to 3"),
        ("tokens:p1@7", "there is no layer '7'"),
    ],
)
def test_a_cut_that_is_not_there(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_cut(text, ROLES, 4, 3)


@pytest.mark.parametrize("mode", list(Mode))
def test_tokens_and_edges_in_every_mode(bench: Bench, mode: Mode) -> None:
    subject, tokens = bench.traced.subject, bench.traced.tokens
    names = [f"blocks.{i}.weights" for i in range(2)]
    kept = [donor.donor(names) for donor in bench.donors]
    mean = {name: torch.cat([values[name] for values in kept]) for name in names}
    mask = torch.zeros_like(tokens.roles_BL, dtype=torch.bool)
    mask[0, [2, 3]] = True
    wanted = [
        value(subject, tokens, cut_tokens(mask, mode, layers=[1], donor=donor))
        for donor in (kept if mode == Mode.RESAMPLE else [mean])
    ]
    found = bench.knock_out(parse_cut("tokens:2,3@1", _roles(tokens), 2, subject.heads), mode)
    assert found.after == pytest.approx(sum(wanted) / len(wanted), abs=1e-6)
    assert found.before == pytest.approx(value(subject, tokens, None), abs=1e-6)
    assert abs(found.after - found.before) > 1e-7
    assert len(found.null) == found.possible == 119  # every other pair of 16 patches
    edges = torch.zeros(1, *[tokens.roles_BL.shape[1]] * 2, dtype=torch.bool)
    edges[0, 0, [2, 3]] = True
    wanted = [
        value(subject, tokens, CutEdges(mode, None, donor, edges_BLL=edges))
        for donor in (kept if mode == Mode.RESAMPLE else [mean])
    ]
    found = bench.knock_out(parse_cut("edges:class>2,3", _roles(tokens), 2, subject.heads), mode)
    assert found.after == pytest.approx(sum(wanted) / len(wanted), abs=1e-6)


def test_heads_layers_and_removal(bench: Bench) -> None:
    subject, tokens = bench.traced.subject, bench.traced.tokens
    roles = _roles(tokens)
    heads = bench.knock_out(parse_cut("heads:1.0", roles, 2, subject.heads), Mode.ZERO)
    assert heads.after == pytest.approx(value(subject, tokens, cut_heads([0], 1, "zero")), abs=1e-6)
    assert len(heads.null) == 2 * subject.heads - 1  # every other head, once
    for kind, parts in (("attention", ["attention"]), ("layers", ["attention", "feedforward"])):
        found = bench.knock_out(parse_cut(f"{kind}:0", roles, 2, subject.heads), Mode.ZERO)
        assert found.after == pytest.approx(value(subject, tokens, cut_layers([0], "zero", parts=parts)), abs=1e-6)
    gone = torch.zeros_like(tokens.roles_BL, dtype=torch.bool)
    gone[0, [2, 4]] = True
    found = bench.knock_out(parse_cut("removed:2,4", roles, 2, subject.heads), Mode.RENORMALISE)
    assert found.mode == "removed"
    assert found.after == pytest.approx(float(subject.probability(remove(bench.traced, gone), 1)), abs=1e-6)
    everything = bench.knock_out(parse_cut("tokens:class", roles, 2, subject.heads), Mode.ZERO)
    assert everything.null == ()
    assert everything.verdict == "no control"  # there is nothing random like a class token


def _roles(tokens: Tokens) -> list[Role]:
    return [Role(int(role)) for role in tokens.roles_BL[0]]


@pytest.fixture(scope="module")
def with_donor(vit: Embedder) -> Explanation:
    one, other = folders.pictures(2)
    return explain(vit, one, None, ExplainOptions(methods=("attention",), donors=(other,)))


def test_every_mode_of_a_knock_out_side_by_side(vit: Embedder, with_donor: Explanation) -> None:
    assert {k.mode for k in with_donor.knockouts} == {"renormalise", "zero", "mean", "resample"}
    assert len(with_donor.knockouts) == 8
    assert Explanation.from_json(with_donor.to_json()) == with_donor
    without = explain(vit, folders.pictures(1)[0], None, ExplainOptions(methods=("attention",)))
    assert {k.mode for k in without.knockouts} == {"renormalise", "zero"}


def test_others_of_an_even_count_are_said_by_the_middle_of_the_two(with_donor: Explanation) -> None:
    """In the conclusion: neither the lower nor the upper one; its picture has each of the four."""
    assert with_donor.removal is not None
    knockout = replace(with_donor.removal.knockout, null=(0.25, 0.75, 0.25, 0.75))
    found = replace(with_donor, removal=replace(with_donor.removal, knockout=knockout))
    assert f"at random it is {found.amount(0.5)} " in found.conclusion
    drawn = verdict(found).body
    assert all(drawn.count(f": {found.amount(value)}</title>") == 2 for value in (0.25, 0.75))


def test_a_swap_puts_the_donors_states_in_before_its_layer(vit: Embedder, with_donor: Explanation) -> None:
    subject, (mine, theirs) = subject_of(vit), (vit.tokens([picture]) for picture in folders.pictures(2))
    steps = {(s.what, s.layer): s for s in with_donor.swaps}
    assert set(steps) == {(role, layer) for role in ("CLASS", "CONTENT") for layer in range(3)}
    with torch.no_grad():
        clean, donor = (float(subject.probability(subject(t), with_donor.target)) for t in (mine, theirs))
    assert steps["CLASS", 0].target == pytest.approx(clean, abs=1e-6)
    assert steps["CLASS", 2].target == pytest.approx(donor, abs=1e-6)
    assert steps["CONTENT", 2].target == pytest.approx(clean, abs=1e-6)
    states = trace(subject, theirs).entering(1)
    edit = PatchStates(name="blocks.0.states", value_BLD=states, places_BL=mine.roles_BL == Role.CLASS)
    with torch.no_grad():
        assert steps["CLASS", 1].target == pytest.approx(
            float(subject.probability(subject(mine, edit), with_donor.target)), abs=1e-6
        )
    assert with_donor.donor is not None
    assert with_donor.donor.target == pytest.approx(donor, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cut", "heads:0.0"], "a cut needs a mode"),
        (["--cut", "heads:0.0", "--mode", "renormalise"], "cannot be cut by 'renormalise'"),
        (["--cut", "heads:0.0", "--mode", "gently"], "'gently' is no mode of intervention"),
        (["--cut", "heads:0.0", "--mode", "mean"], "name one or more donors"),
        (["--cut", "heads:7.0", "--mode", "zero"], "there is no head '7.0'"),
        (["--cut", "tokens:p1", "--mode", "resample", "--donor", "a much longer text than it"], "as many tokens"),
        (["--cut", "tokens:0-99", "--mode", "zero"], "there is no token 99"),
    ],
)
def test_bad_cuts_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = folders.tiny_bert(tmp_path / "bert", head=True)
    capsys.readouterr()
    command = ["explain", "a dog runs", "--model", str(model), "--quick", "--methods", "attention"]
    assert main([*command, *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_the_command_cuts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = folders.tiny_bert(tmp_path / "bert", head=True)
    capsys.readouterr()
    command = ["explain", "a dog runs", "--model", str(model), "--quick", "--methods", "attention", "--json"]
    cuts = ["--cut", "heads:0.0", "--cut", "edges:class>p1@0", "--cut", "removed:p0", "--mode", "all"]
    page = tmp_path / "x.html"
    assert main([*command, *cuts, "--donor", "the cat sits", "--out", str(page)]) == 0
    found = Explanation.from_json(capsys.readouterr().out)
    modes = {what: [k.mode for k in found.knockouts if k.what == what] for what in cuts[1:6:2]}
    assert modes["heads:0.0"] == ["zero", "mean", "resample"]
    assert modes["edges:class>p1@0"] == ["renormalise", "zero", "mean", "resample"]
    assert modes["removed:p0"] == ["removed"]
    assert "With states of the cat sits" in page.read_text()
    # A donor of another length gives its class token, and no modes that need as many tokens.
    assert main([*command, "--donor", "the red cat sits on a mat"]) == 0
    found = Explanation.from_json(capsys.readouterr().out)
    assert {s.what for s in found.swaps} == {"CLASS", "END"}
    assert {k.mode for k in found.knockouts} <= {"renormalise"}
    assert main(["explain", "--data", "x.csv", "--model", str(model), "--mode", "zero"]) == 2
    assert "--mode: only for one INPUT" in capsys.readouterr().err


def test_controls_are_run_as_the_cut_itself_is(bench: Bench) -> None:
    """Every control's value is that of the same cut of its tokens, one by one and from the beginning."""
    subject, tokens = bench.traced.subject, bench.traced.tokens
    cut = Cut("edges", "", keys=(5,), readers=(0,), heads=((1, 0),), layers=(1,))
    found = bench.knock_out(cut, Mode.RENORMALISE)
    assert found.possible == len(found.null) == 15
    controls = bench.controls(cut, 1)
    for (key,), given in zip(controls.sets, found.null, strict=True):
        edges = torch.zeros(1, *[tokens.roles_BL.shape[1]] * 2, dtype=torch.bool)
        edges[0, 0, key] = True
        edit = CutEdges(Mode.RENORMALISE, frozenset({1}), None, edges_BLL=edges, heads=frozenset({0}))
        assert given == pytest.approx(value(subject, tokens, edit), abs=1e-6)


def test_the_tenth_with_most_weight(bench: Bench) -> None:
    weights = torch.tensor([0.9, 0.1, 0.3, 0.2, 0.3, 0.0])
    assert tenth(weights, [1, 2, 3, 4, 5]) == (2,)  # the class token's own weight does not count; ties by position
    assert tenth(weights, [1, 2]) == ()
    cut = most_attended_in(bench.traced, 0, 1, 0)
    assert cut is not None
    row = bench.traced.parts["weights"][1][0, 0, 0]
    assert set(cut.keys) == set((1 + row[1:].topk(2).indices).tolist())
    assert (cut.readers, cut.layers, cut.heads) == ((0,), (1,), ((1, 0),))
