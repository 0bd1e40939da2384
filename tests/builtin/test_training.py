"""Built-in models and what trains them again: a part for every recipe, a card for every model, an honest comparison."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from tests import folders

import classtoken as ct
from classtoken.learning.folder.record import licence_of
from classtoken.learning.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
BUILT_IN = ROOT / "src/classtoken/builtin"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/train_builtin.py as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    spec = importlib.util.spec_from_file_location("train_builtin", ROOT / "tools/train_builtin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "train_builtin", module)
    spec.loader.exec_module(module)
    return module


def test_every_recipe_has_its_command_and_every_model_its_figure(tool: ModuleType) -> None:
    names = {path.parent.name for path in BUILT_IN.glob("*/recipe.toml")}
    assert set(tool.PARTS) == names
    for name in names:
        test = json.loads((BUILT_IN / name / "training.json").read_text(encoding="utf-8"))["test"]
        card = (BUILT_IN / name / "README.md").read_text(encoding="utf-8")
        assert f"| {test['accuracy']:.4f} |" in card
        assert licence_of(BUILT_IN / name) == "apache-2.0"
        assert str(test["records"]) in card
        assert (BUILT_IN / name / "model.safetensors").stat().st_size <= 8_000_000


def test_the_command_is_classtokens_own(tool: ModuleType, minilm: Path) -> None:
    command = tool.train_command("sentiment", tool.PARTS["sentiment"], Path("data"), Path("runs/sentiment"))
    assert command[:2] == ["train", "data/text/sst2/train.csv"]
    assert command[command.index("--teacher") + 1] == str(minilm)
    assert command[-3:] == ["--half", "--out", "runs/sentiment"]


def test_a_model_that_is_trained_further_is_named(tool: ModuleType) -> None:
    command = tool.train_command("photos", tool.PARTS["photos"], Path("data"), Path("runs/photos"))
    assert command[:2] == ["train", "data/cifar10/train.parquet"]
    assert Path(command[command.index("--model") + 1]).name == "deit-tiny-patch16-224"
    recipe = Recipe.from_file(command[command.index("--config") + 1])
    assert recipe.unfreeze == "all"
    assert recipe.model is None


def test_weights_that_are_too_many_are_rounded_to_what_ships(tool: ModuleType, tmp_path: Path) -> None:
    folder = folders.tiny_vit(tmp_path / "model", head=True)
    path = folder / "model.safetensors"
    before, picture = load_file(path), np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    logits = ct.load(folder).logits([picture])
    sys.modules["install_builtin"].round_matrices(path)
    after = load_file(path)
    assert after.keys() == before.keys()
    eight = {name for name, tensor in after.items() if tensor.dtype == torch.float8_e4m3fn}
    assert len(eight) == 2 * 6  # of each block: query, key, value, output, up, down
    for name, tensor in before.items():
        moved = (after[name].float() - tensor).abs()
        assert (moved <= (tensor.abs() / 16).clamp(min=2**-10) if name in eight else moved == 0).all()
    rounded = ct.load(folder).logits([picture])
    assert 0 < np.abs(rounded - logits).max() < 0.1 * np.abs(logits).max()
    theirs = transformers.ViTForImageClassification.from_pretrained(folder)
    with torch.no_grad():
        pixels = transformers.AutoImageProcessor.from_pretrained(folder)(picture, return_tensors="pt")["pixel_values"]
        np.testing.assert_allclose(theirs(pixels).logits.numpy(), rounded, atol=1e-5)


@pytest.mark.parametrize(
    ("before", "after", "said", "holds"),
    [
        ((900, 1000), (905, 1000), "within noise", True),
        ((900, 1000), (850, 1000), "WORSE", False),  # z = 3.4
        ((850, 1000), (900, 1000), "better", True),
        ((1000, 1000), (1000, 1000), "within noise", True),
        (None, (9, 10), "no figure before", True),
    ],
)
def test_a_figure_holds_unless_it_is_worse_beyond_chance(
    tool: ModuleType, before: tuple[int, int] | None, after: tuple[int, int], said: str, holds: bool
) -> None:
    line, found = tool.agreement(before, after)
    assert said in line
    assert found is holds


def test_the_comparison_is_statsmodels_two_sided_test(tool: ModuleType) -> None:
    """proportions_ztest([800, 830], [1000, 1000]) of statsmodels 0.14 gives p = 0.0837."""
    line, _ = tool.agreement((800, 1000), (830, 1000))
    assert "p = 0.084" in line


def test_the_readme_says_what_the_cards_say() -> None:
    rows = re.findall(r"^\| `builtin:([\w-]+)` \| .* \| ([\d.]+) % \|$", (ROOT / "README.md").read_text(), re.M)
    cards = {path.parent.name: path.read_text(encoding="utf-8") for path in BUILT_IN.glob("*/README.md")}
    assert {name for name, _ in rows} == set(cards)
    for name, shown in rows:
        found = re.search(r"\| accuracy on the test split .*\| (0\.\d+) \|", cards[name])
        assert found is not None
        assert abs(float(shown) - 100 * float(found[1])) < 0.0501, name
