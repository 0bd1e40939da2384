"""What explain, the page, predict and training all need exists once: each rule names the one place."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.house.test_style import sources

#: A softmax or a sigmoid is no probability of a class in these: weights of attention, and losses.
OTHER_SOFTMAX = {
    "encoder/attention.py",
    "encoder/foreign/captured.py",
    "encoder/kernels.py",
    "pooling/attentive.py",
    "study/experiments.py",
    "tensors.py",
    "learning/objectives/dino.py",
    "learning/objectives/distillation.py",
}


def called(name: str) -> Callable[[ast.AST], bool]:
    """A call of that name, as a function or as a method."""

    def fits(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and name == getattr(node.func, "attr", getattr(node.func, "id", ""))

    return fits


def made(*names: str) -> Callable[[ast.AST], bool]:
    """A table (dict) that gives something for each of these names."""

    def fits(node: ast.AST) -> bool:
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)] if isinstance(node, ast.Dict) else []
        return set(names) <= set(keys)

    return fits


def places(root: Path, fits: Callable[[ast.AST], bool]) -> set[str]:
    return {name for name, tree in sources(root) if any(fits(node) for node in ast.walk(tree))}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "fits", "allowed"),
    [
        ("a knock-out's result", called("KnockOut"), {"study/knockouts.py"}),
        ("heads taken away", called("CutHeads"), {"probe/interventions.py"}),
        ("layers taken away", called("CutLayers"), {"probe/interventions.py"}),
        ("edges taken away", called("CutEdges"), {"probe/interventions.py", "probe/removal.py", "study/knockouts.py"}),
        (
            "tokens taken away",
            called("remove"),
            {"study/knockouts.py", "maps/occlusion.py", "maps/faithfulness.py", "maps/pairs.py"},
        ),
        ("the null of a knock-out", called("Controls"), {"study/control.py"}),
        ("a swap", called("with_states"), {"study/swaps.py", "encoder/foreign/model.py"}),
        ("a swap's result", called("SwapStep"), {"study/swaps.py"}),
        ("a table of activations", made("gelu", "silu", "relu"), {"tensors.py"}),
        ("one undisturbed forward", called("Traced"), {"probe/traced.py"}),
    ],
)
def test_each_has_one_place(root: Path, what: str, fits: Callable[[ast.AST], bool], allowed: set[str]) -> None:
    assert places(root, fits) == allowed, what


def test_logits_become_probabilities_in_one_place(root: Path) -> None:
    found = {name for kind in ("softmax", "sigmoid") for name in places(root, called(kind))}
    assert found - OTHER_SOFTMAX == {"head.py"}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("lens", "probe/lens.py"),
        ("probabilities", "head.py"),
        ("average_precision", "measure/specialisation.py"),
        ("swap_states", "study/swaps.py"),
        ("remove", "probe/removal.py"),
        ("run_on", "probe/run_on.py"),
    ],
)
def test_a_function_of_that_name_is_defined_once(root: Path, name: str, place: str) -> None:
    found = [
        module
        for module, tree in sources(root)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    assert found == [place]


def test_the_rules_see() -> None:
    def any_of(code: str, fits: Callable[[ast.AST], bool]) -> bool:
        return any(fits(node) for node in ast.walk(ast.parse(code)))

    assert any_of("logits.softmax(-1)", called("softmax"))
    assert any_of("softmax(logits)", called("softmax"))
    assert not any_of("log_softmax(logits)", called("softmax"))
    assert any_of("{'gelu': f, 'silu': g, 'relu': h, 'tanh': t}", made("gelu", "silu", "relu"))
