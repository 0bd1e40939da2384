"""Built-in models and what trains them again: a part for every recipe, a card for every model, an honest comparison."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

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
    (command,) = tool.train_commands("sentiment", tool.PARTS["sentiment"], Path("data"), Path("runs/sentiment"))
    assert command[:2] == ["train", "data/text/sst2/train.csv"]
    assert command[command.index("--teacher") + 1] == str(minilm)
    assert command[-3:] == ["--half", "--out", "runs/sentiment"]


def test_a_teacher_that_has_to_be_made_is_made_first(tool: ModuleType) -> None:
    teacher, first, command = tool.train_commands("photos", tool.PARTS["photos"], Path("data"), Path("runs/photos"))
    assert teacher[:2] == command[:2] == ["train", "data/cifar10/train.parquet"]
    assert Path(teacher[teacher.index("--model") + 1]).name == "deit-tiny-patch16-224"
    assert teacher[-2:] == ["--out", command[command.index("--teacher") + 1]]
    made, taught = (Recipe.from_file(line[line.index("--config") + 1]) for line in (teacher, command))
    assert made.unfreeze == "all"
    assert taught.objective.kind == "distillation"
    begun = Recipe.from_file(first[first.index("--config") + 1])
    assert taught.start == first[first.index("--out") + 1]
    assert (begun.model, begun.data, begun.loop.seed) == (taught.model, taught.data, taught.loop.seed)
    assert made.data.held_out == taught.data.held_out  # or the teacher would have learned what its student is judged on


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
