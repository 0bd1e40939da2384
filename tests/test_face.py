"""What a person meets at a prompt: the package's names, and results that say what they are."""

import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest
from tests.folders import tiny_bert

import classtoken as ct
from classtoken.errors import ClasstokenError, OptionError, SpecError


def test_a_name_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'embbed'; did you mean 'embed'\?"):
        ct.embbed  # noqa: B018
    with pytest.raises(AttributeError, match=r"'OptionError'; it is ct\.errors\.OptionError$"):
        ct.OptionError  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'zzz'$"):
        ct.zzz  # noqa: B018
    assert not [name for name in dir(ct) if name not in ct.__all__]


def test_what_was_made_says_what_it_is(tmp_path: Path) -> None:
    ct.embed(tiny_bert(tmp_path / "bert"), ["a cat", "a dog"], tmp_path / "made", pooling="cls,mean")
    made = ct.read(tmp_path / "made")
    assert repr(made) == f"Vectors({str(tmp_path / 'made')!r}, 2 rows, cls: 32, mean: 32)"
    assert repr(made.arrays) == "Arrays(cls: (2, 32), mean: (2, 32))"


def test_a_keyword_that_is_not_there_is_answered_with_the_one_that_was_meant(tmp_path: Path) -> None:
    untyped: Any = ct
    with pytest.raises(TypeError, match=r"embed\(\) has no keyword 'poolin'; did you mean 'pooling'\?"):
        untyped.embed("builtin:toy", "x.csv", tmp_path, poolin="cls")
    with pytest.raises(TypeError, match=r"load\(\) has no keyword 'devise'; did you mean 'device'\?"):
        untyped.load("builtin:toy", devise="cpu")
    with pytest.raises(TypeError, match=r"it is one of source_options=ct.SourceOptions\(text_column=...\)"):
        untyped.predict("builtin:sentiment", "x.csv", tmp_path, text_column="body")
    with pytest.raises(TypeError, match=r"search\(\) has no keyword 'zzz'; it has folder, query, out"):
        untyped.search("x", zzz=1)
    assert str(inspect.signature(ct.embed)).startswith("(model: ")
    assert pickle.loads(pickle.dumps(ct.embed)) is ct.embed


def test_a_pooling_that_there_is_not_is_told_before_a_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no pooling 'clss'\. Did you mean cls\?"):
        ct.embed(tmp_path / "no-model", ["a"], tmp_path / "out", pooling="clss")
    with pytest.raises(SpecError, match=r"there is no pooling 'meen'\. Did you mean mean\?"):
        ct.train(tmp_path / "no-model", {"text": ["a", "b"], "label": ["x", "y"]}, tmp_path / "out", pooling="meen")


def test_a_system_that_it_does_not_run_on_is_told_in_one_line() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", "import os; os.name = 'nt'; import classtoken"], capture_output=True, text=True
    )
    assert asked.returncode == 1
    assert asked.stderr.splitlines()[-1].startswith("ImportError: classtoken runs on Linux and macOS. On Windows,")


@pytest.mark.parametrize("wrong", [5, b"", ["x"]], ids=repr)
@pytest.mark.parametrize(
    "call",
    [
        lambda m, v, x: ct.atlas(v, x),
        lambda m, v, x: ct.compare(m, {"text": ["a", "b"], "label": ["x", "y"]}, x),
        lambda m, v, x: ct.duplicates(v, x),
        lambda m, v, x: ct.embed(m, ["a"], x),
        lambda m, v, x: ct.explain(m, "a cat", x),
        lambda m, v, x: ct.explain_data(m, ["a cat", "a dog"], x),
        lambda m, v, x: ct.explain_pair(m, ["a cat", "a dog"], x),
        lambda m, v, x: ct.export(m, x),
        lambda m, v, x: ct.outliers(v, x),
        lambda m, v, x: ct.predict(m, ["a"], x),
        lambda m, v, x: ct.read(x),
        lambda m, v, x: ct.search(v, "a cat", x),
        lambda m, v, x: ct.train(m, {"text": ["a", "b"], "label": ["x", "y"]}, x),
        lambda m, v, x: ct.train(m, {"text": ["a", "b"], "label": ["x", "y"]}, "o", features=x),
        lambda m, v, x: ct.verify(x),
        lambda m, v, x: ct.walkthrough(m, ["a cat"], x),
    ],
)
def test_what_is_no_path_is_told_in_one_line(
    call: Any, wrong: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClasstokenError, match=rf"of type {type(wrong).__name__}\b"):
        call("builtin:sentiment", tmp_path, wrong)
    assert not any(tmp_path.iterdir())


def test_no_text_is_no_folder_for_features_and_none_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untyped: Any = ct
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match="an empty text is no path"):
        ct.train("builtin:sentiment", {"text": ["a", "b"], "label": ["x", "y"]}, tmp_path / "o", features="")
    with pytest.raises(OptionError, match="a value of type NoneType is no path"):
        untyped.atlas(tmp_path, None)
    assert not any(tmp_path.iterdir())


def test_an_option_that_takes_several_takes_a_single_text_or_path_and_says_what_it_does_not_take(
    tmp_path: Path,
) -> None:
    untyped: Any = ct
    said = r"`{}` is of type int; give a list"
    rows = {"text": list("abcdefgh"), "label": ["x", "y"] * 4}
    with pytest.raises(OptionError, match=said.format("vectors")):
        untyped.compare(None, rows, vectors=5)
    with pytest.raises(OptionError, match=said.format("accept")):
        untyped.inspect("builtin:toy", accept=5)
    with pytest.raises(OptionError, match=said.format("donors")):
        untyped.explain("builtin:sentiment", "a cat", donors=5)
    with pytest.raises(OptionError, match=said.format("folder")):
        untyped.service("builtin:sentiment", folder=5)
    with pytest.raises(OptionError, match="a pair is two inputs"):
        untyped.explain_pair("builtin:sentiment", 5)
    with pytest.raises(ClasstokenError, match="nothing-here"):
        untyped.compare(None, rows, vectors=tmp_path / "nothing-here")


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"normalize": "no"}, "`normalize` must be True, False or None, not 'no'"),
        ({"max_length": "5"}, "`max_length` must be a whole number, not '5'"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_name(keywords: dict[str, Any], said: str) -> None:
    """'no' was taken for yes."""
    with pytest.raises(ClasstokenError, match=re.escape(said)):
        ct.load("builtin:sentiment", **keywords)


def test_what_an_embedder_is_asked_in_another_form(tmp_path: Path) -> None:
    embedder = ct.load("builtin:sentiment")
    assert list(embedder.trace(["a"], "blocks.0.weights").kept) == ["blocks.0.weights"]
    for ask in (lambda: embedder.states([]), lambda: embedder.trace([], ["final"])):
        with pytest.raises(OptionError, match="no item in the list"):
            ask()
    with pytest.raises(OptionError, match=r"`source_options` must be ct\.SourceOptions\(\.\.\.\)"):
        ct.embed(embedder, ["a"], tmp_path, source_options={"text_column": "x"})  # type: ignore[arg-type]
    code = (  # in a process of its own: tests check the types of poolings before anything else
        "import classtoken as ct\n"
        "try: ct.load('builtin:sentiment').embed(['a'], pooling=['cls', 'mean'])\n"
        "except ct.errors.SpecError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "a pooling is a text, 'cls' or several as 'cls,mean', not of type list.\n"


def test_what_a_folder_of_vectors_does_not_have_is_named(tmp_path: Path) -> None:
    ct.embed("builtin:sentiment", ["a film"], tmp_path / "v")
    made = ct.read(tmp_path / "v")
    for ask in (lambda: made.matrix("mean"), lambda: made.numbers(0, "mean"), lambda: list(made.blocks("mean"))):
        with pytest.raises(OptionError, match="holds no vectors 'mean'; it has cls"):
            ask()
    with pytest.raises(OptionError, match="has no column 'zz'; it has id, cls, text"):
        list(made.tables(["zz"]))
    with pytest.raises(OptionError, match=r"`against` is '.*v', the folder itself: all its rows would go"):
        ct.duplicates(tmp_path / "v", against=tmp_path / "v")
    with pytest.raises(OptionError, match="`calibrate` must be a text, not"):  # a table is compared sign by sign
        ct.PredictOptions(calibrate=pandas.DataFrame({"text": ["a", "b"]}))  # type: ignore[arg-type]
