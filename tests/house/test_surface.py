"""What users hold on to does not change unnoticed, and is documented."""

import dataclasses
import functools
import importlib
import inspect
import json
import operator
import pkgutil
import re
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from tests.house.surface import AGREED, commands, flags, result_classes, surface
from tests.house.test_docs import page_of
from typer.core import TyperCommand

import classtoken
from classtoken.cli import VERBS
from classtoken.cli.command import option_kinds
from classtoken.errors import ClasstokenError
from classtoken.options import EmbedOptions, ExplainOptions, SourceOptions, all_fields

COMMANDS = commands()
COMMANDS_OF = {verb: {p.name: p.opts[0] for p in command.params} for verb, command in COMMANDS.items()}


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
        page = page_of(root, str(command.name)).read_text(encoding="utf-8")
        for flag in flags(command):
            for option in flag.split("/"):
                assert not option.startswith("--") or f"`{option}" in page, f"docs/{command.name}.md lacks {option}"


#: Options that a command has beside those of its options value, and why.
OF_THE_COMMAND = {
    "embed": {"events", "plan"},  # it prints the work and stops; in Python `jobs.embed.embed_plan`
    "inspect": {"evidence"},  # how much is printed; in Python `Inspection.table(evidence=True)`
    "compare": {"read"},  # many results in one table; in Python `results.compare.tables_of`
    "train": {"recipe_template"},  # it prints one and stops
    "explain": {"data", "other"},  # in Python `explain_data` and `explain_pair`
    "atlas": {"serve", "host", "port"},  # a server instead of a file
    "walkthrough": {"serve", "host", "port"},
    "serve": {"host", "port", "api_key_file"},  # in Python the application, which others run; `keys`
}
#: Parameters of a verb's function that are no options.
OPERANDS = {"model", "source", "item", "items", "folder", "query", "out", "report", "keys"}
#: What Python takes in more forms than the options value, which goes to JSON.
WIDER = {"features", "folder", "model", "recipe"}
#: Functions of the package by command; one command may stand for two.
FUNCTIONS = {verb: (verb,) for verb in VERBS} | {
    "explain": ("explain", "explain_data", "explain_pair"),
    "serve": ("service",),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_page_names_no_keyword_that_python_does_not_take(verb: str) -> None:
    """In the table of a verb's options, which has a column for Python."""
    taken = {p for name in FUNCTIONS[verb] for p in inspect.signature(getattr(classtoken, name)).parameters}
    page = Path(__file__).parents[2] / f"docs/{'indexing' if verb == 'index' else verb}.md"
    table = page.read_text(encoding="utf-8").partition("| on the command line | in Python |")[2].partition("\n\n")[0]
    rows = table.splitlines()[2:]
    named = {cells[2].strip() for row in rows if len(cells := row.split("|")) > 4}
    assert len(named) > 3
    assert named - {""} <= {f"`{name}`" for name in (*taken, "source_options")}


@pytest.mark.parametrize("verb", VERBS)
def test_a_command_a_function_and_an_options_value_offer_the_same(verb: str) -> None:
    """By name, type and default: what can be chosen on the command line can be chosen in Python, and the reverse."""
    function = getattr(importlib.import_module(f"classtoken.cli.{verb}"), verb)
    kinds = [kind for kinds in option_kinds(function).values() for kind in kinds]
    fields = {field.name: field for kind in kinds for field in all_fields(kind)}
    operands = set(inspect.signature(function).parameters) - set(option_kinds(function))
    offered = {parameter.name for parameter in COMMANDS[verb].params}
    assert offered - operands - {"json", "quiet", "verbose"} == {
        name for name, field in fields.items() if field.about.shown
    }
    assert {name for name in operands if COMMANDS_OF[verb][name].startswith("--")} - {"model", "out"} == (
        OF_THE_COMMAND.get(verb, set())
    )
    for name, kind in zip(FUNCTIONS[verb], kinds, strict=bool(kinds)):
        taken = {
            p.name: p
            for p in inspect.signature(getattr(classtoken, name)).parameters.values()
            if p.kind == p.KEYWORD_ONLY
        }
        hints = get_type_hints(kind)
        assert set(taken) - (OPERANDS - set(fields)) == {field.name for field in dataclasses.fields(kind)}, name
        for field in dataclasses.fields(kind):
            assert taken[field.name].default == field.default, f"{name}({field.name})"
            if field.name not in WIDER:
                assert taken[field.name].annotation == as_parameter(hints[field.name]), f"{name}({field.name})"


def as_parameter(hint: Any) -> Any:
    """A field's type as a function takes it: any sequence for a tuple."""
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    taken = [Sequence[get_args(part)[0]] if get_origin(part) is tuple else part for part in parts]
    return functools.reduce(operator.or_, taken)


def test_the_order_of_arguments_is_one() -> None:
    """`verb(model, source or item, out, *, options)`; a verb without a model takes the folder first."""
    second = {"source", "item", "items"}
    for name in (name for names in FUNCTIONS.values() for name in names):
        parameters = inspect.signature(getattr(classtoken, name)).parameters.values()
        ordered = [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
        folder = [["folder"], ["folder", "out"], ["folder", "query", "out"]]
        assert ordered in (
            folder + [["model"], ["model", "out"]] + [["model", middle, "out"] for middle in sorted(second)]
        ), name


def test_options_are_checked_by_name_and_go_to_json() -> None:
    with pytest.raises(ClasstokenError, match="`limit` must be 1 or more, not 0"):
        EmbedOptions(limit=0)
    with pytest.raises(ClasstokenError, match="`precision` must be one of fp32, bf16, int8, not 'fp8'"):
        EmbedOptions(precision="fp8")  # type: ignore[arg-type]
    with pytest.raises(ClasstokenError, match="`part_rows` must be a whole number, not '7'"):
        EmbedOptions(part_rows="7")  # type: ignore[arg-type]
    made = EmbedOptions(pooling="cls", source_options=SourceOptions(labels="a.csv"))  # type: ignore[arg-type]
    assert made.source_options.labels == Path("a.csv")
    assert EmbedOptions.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert ExplainOptions(methods="cls, mean").methods == ("cls", "mean")  # type: ignore[arg-type]


def test_every_verb_is_a_command_of_its_own() -> None:
    assert list(COMMANDS) == list(VERBS)
    assert len(set(VERBS)) == len(VERBS)


@pytest.mark.parametrize("kind", result_classes().values(), ids=result_classes())
def test_results_are_documented(kind: type) -> None:
    assert not (kind.__doc__ or "").startswith(f"{kind.__name__}("), "dataclass made up its docstring"
