"""A text that is also the name of a folder here: every verb of one input takes it, once it is said to be a text."""

import json
from pathlib import Path

import pytest

from classtoken.cli import main
from classtoken.errors import OptionError
from classtoken.walk.engine import Engine

MODEL = ("--model", "builtin:sentiment")
COMMANDS = {
    "explain": ("explain", "lovely", *MODEL, "--methods", "attention"),
    "pair": ("explain", "lovely", "--with", "lovely film", *MODEL),
    "predict": ("predict", "lovely", *MODEL),
}


@pytest.fixture(autouse=True)
def beside_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lovely").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_name_of_a_folder_is_a_text_where_that_is_said(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--json"]) == 2
    assert "If this is a text, say so: --modality text." in capsys.readouterr().err
    assert main([*command, "--modality", "text", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "lovely" in json.dumps(found)


def test_it_is_walked_through_where_that_is_said() -> None:
    with pytest.raises(OptionError, match="`modality` text"):
        Engine("builtin:sentiment", ["lovely"])
    assert [item.content for item in Engine("builtin:sentiment", ["lovely"], "text").given] == ["lovely"]
