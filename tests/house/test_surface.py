"""What users hold on to does not change unnoticed, and is documented."""

import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path

import pytest
from tests.house.surface import AGREED, commands, flags, result_classes, surface
from typer.core import TyperCommand

import classtoken
from classtoken.cli import VERBS
from classtoken.source import SourceOptions

COMMANDS = commands()


@pytest.mark.parametrize("part", ["names", "commands", "json"])
def test_the_surface_is_the_agreed_one(part: str) -> None:
    agreed = json.loads(AGREED.read_text(encoding="utf-8"))
    assert surface()[part] == agreed[part], "on purpose? then: .venv/bin/python -m tests.house.surface --write"


def test_public_names_are_sorted_and_there() -> None:
    names = classtoken.__all__
    assert list(names) == sorted(names) == dir(classtoken)
    for name in names:
        assert getattr(classtoken, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        classtoken.nonsense  # noqa: B018


def test_no_public_name_is_hidden_by_a_module() -> None:
    """Importing the module `classtoken.x` would replace the function `classtoken.x`."""
    modules = {module.name for module in pkgutil.iter_modules(classtoken.__path__)}
    for name in set(classtoken.__all__) & modules:
        assert getattr(classtoken, name) is importlib.import_module(f"classtoken.{name}")


def test_public_things_are_documented() -> None:
    for name in set(classtoken.__all__) - {"__version__"}:
        assert len(inspect.getdoc(getattr(classtoken, name)) or "") > 40, name


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
class TestCommand:
    def test_has_help_and_an_example(self, command: TyperCommand) -> None:
        assert command.help
        assert re.search(rf"Examples?:\s+classtoken {command.name} ", command.help), command.help
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{command.name} {parameter.opts} has no help"

    def test_prints_json_when_asked(self, command: TyperCommand) -> None:
        assert "--json" in flags(command)

    def test_takes_a_revision_wherever_it_takes_a_model(self, command: TyperCommand) -> None:
        names = flags(command)
        if "--model" in names or "MODEL" in names:
            assert {"--device", "--revision"} & set(names) >= {"--revision"}

    def test_examples_use_options_that_there_are(self, command: TyperCommand) -> None:
        known = {option for flag in flags(command) for option in flag.split("/")} | {"--help"}
        for line in re.findall(rf"^ +classtoken {command.name} .*$", command.help or "", re.MULTILINE):
            assert set(re.findall(r"(?<= )--?[a-z][a-z-]*", line)) <= known, line

    def test_has_a_page_that_names_every_option(self, command: TyperCommand, root: Path) -> None:
        page = (root / "docs" / f"{command.name}.md").read_text(encoding="utf-8")
        for flag in flags(command):
            for option in flag.split("/"):
                assert not option.startswith("--") or f"`{option}" in page, f"docs/{command.name}.md lacks {option}"


def test_a_command_offers_what_its_job_takes() -> None:
    """The options of `embed` are the parameters of the job, with those of a source spread out."""
    from classtoken.jobs.embed import embed

    taken = set(inspect.signature(embed).parameters) - {"source_options", "report"}
    taken |= set(SourceOptions.__dataclass_fields__)
    offered = {parameter.name for parameter in COMMANDS["embed"].params} - {"json"}
    assert offered == taken


def test_every_verb_is_a_command_of_its_own() -> None:
    assert list(COMMANDS) == list(VERBS)
    assert len(set(VERBS)) == len(VERBS)


@pytest.mark.parametrize("kind", result_classes().values(), ids=result_classes())
def test_results_are_documented(kind: type) -> None:
    assert not (kind.__doc__ or "").startswith(f"{kind.__name__}("), "dataclass made up its docstring"
