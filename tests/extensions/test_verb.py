"""A verb from outside: its command has help, flags, JSON and one-line errors like those of the package."""

from pathlib import Path

import pytest
from tests.extensions.conftest import Install

from classtoken.cli import main

VERB = '''
from dataclasses import dataclass
from typing import Annotated

from classtoken.cli.operands import Source
from classtoken.cli.output import Answer
from classtoken.errors import OptionError
from classtoken.options import Option, Options, SourceOptions
from classtoken.plain import Limits
from classtoken.results.base import Result
from classtoken.source import open_source


@dataclass(frozen=True, kw_only=True)
class CountOptions(Options):
    """How records are counted."""

    label: Annotated[str | None, Option("Only those with this label.", metavar="NAME", flag="only")] = None
    at_least: Annotated[int, Limits(ge=0), Option("Fewer are an error.", metavar="N")] = 0
    source_options: SourceOptions = SourceOptions()


@dataclass(frozen=True)
class CountResult(Result):
    """Records counted."""

    records: int

    def __str__(self) -> str:
        return f"{self.records} records"


def count(source: Source, options: CountOptions) -> Answer:
    """Count the records of a source.

    Example:

        classtoken count reviews.csv
    """
    records = open_source(source, options.source_options).records()
    found = sum(options.label in (None, record.label) for record in records)
    if found < options.at_least:
        raise OptionError(f"{found} records; lower `at_least`, or leave out `label`.")
    return Answer(CountResult(found))
'''


@pytest.fixture
def count(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("counting", VERB, {"verbs": "count = counting:count"})
    (tmp_path / "some.csv").write_text("text,label\na,x\nb,y\nc,x\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("count")
def test_a_verb_from_outside_is_a_command_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "\n  count " in capsys.readouterr().out
    assert main(["count", "some.csv", "--only", "x"]) == 0
    assert capsys.readouterr().out == "2 records\n"
    assert main(["count", "some.csv", "--json"]) == 0
    assert capsys.readouterr().out == '{\n  "format": "classtoken.CountResult/1",\n  "records": 3\n}\n'
    assert main(["count", "some.csv", "--at-least", "4"]) == 2
    assert capsys.readouterr().err == "classtoken: 3 records; lower --at-least, or leave out --only.\n"
    assert main(["count", "some.csv", "--text-column", "body"]) == 2
    assert "has no column 'body' (--text-column); it has 'text', 'label'" in capsys.readouterr().err
    assert main(["cuont"]) == 2
    assert "did you mean 'count'? See: classtoken --help" in capsys.readouterr().err


def test_one_that_cannot_be_loaded_is_named(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("broken", "1 / 0", {"verbs": "divide = broken:divide"})
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert "\n  embed " in listed
    assert "cannot be loaded (ZeroDivisionError" in " ".join(listed.split())
    assert main(["divide"]) == 2
    assert "'divide' (broken:divide) of classtoken.verbs cannot be loaded (ZeroDivisionError" in capsys.readouterr().err
