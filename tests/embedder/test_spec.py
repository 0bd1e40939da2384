"""A model as a value."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests import folders

import classtoken as ct
from classtoken.embedder import ModelSpec
from classtoken.errors import OptionError
from classtoken.run.embedding import EmbedStageSpec


def test_an_embedder_keeps_what_made_it_and_is_made_from_it(tmp_path: Path) -> None:
    folder = folders.tiny_bert(tmp_path / "bert")
    embedder = ct.load(folder, pooling="mean", normalize=True, device="cpu")
    spec = embedder.spec
    assert spec == ModelSpec(str(folder), pooling="mean", normalize=True, device="cpu")
    assert ModelSpec.from_json(spec.to_json()) == pickle.loads(pickle.dumps(spec)) == spec
    again = ct.load(spec)
    np.testing.assert_array_equal(again.embed(folders.SENTENCES), embedder.embed(folders.SENTENCES))
    assert again.fingerprint() == embedder.fingerprint()


def test_a_folder_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders.tiny_bert(tmp_path / "bert")
    monkeypatch.chdir(tmp_path)
    spec = ModelSpec("bert").from_anywhere()
    assert spec.model == (tmp_path / "bert").resolve().as_posix()
    monkeypatch.chdir("/")
    assert ct.load(spec).name == spec.model
    assert ModelSpec("builtin:toy").from_anywhere() == ModelSpec("builtin:toy")


def test_a_stage_opens_from_its_spec(tmp_path: Path) -> None:
    spec = EmbedStageSpec(ModelSpec(str(folders.tiny_bert(tmp_path / "bert"))), "text", prompt="the ")
    assert EmbedStageSpec.from_json(spec.to_json()) == spec
    stage = pickle.loads(pickle.dumps(spec)).open()
    assert dict(stage.columns) == {"mean": 32}
    assert stage.fingerprint().prompt == "the "


def test_what_is_not_allowed_is_said(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="precision 'fp8' is not known; known are fp32, bf16"):
        ModelSpec("m", precision="fp8")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="a ModelSpec has its own pooling"):
        ct.load(ModelSpec("m"), pooling="cls")


def test_an_embedder_is_given_back_and_not_told_twice(tmp_path: Path) -> None:
    embedder = ct.load(folders.tiny_bert(tmp_path / "bert"))
    assert ct.load(embedder) is embedder
    with pytest.raises(OptionError, match="an Embedder has its own pooling"):
        ct.load(embedder, normalize=True)


@pytest.mark.parametrize("verb", ["inspect", "walkthrough", "notebook", "train"])
@pytest.mark.parametrize("loaded", [ct.load, ModelSpec], ids=["Embedder", "ModelSpec"])
def test_where_only_a_name_will_do_that_of_a_loaded_model_is_told(
    verb: str, loaded: Callable[[str], object], tmp_path: Path
) -> None:
    further = ("builtin:tiny?count=9", tmp_path / "out") if verb == "train" else ()
    with pytest.raises(OptionError, match=r"^`model` is of type \w+; name it here by .*: 'builtin:toy'\.$"):
        getattr(ct, verb)(loaded("builtin:toy"), *further)


@pytest.mark.parametrize("verb", ["load", "inspect", "walkthrough", "train", "export", "embed", "predict", "compare"])
@pytest.mark.parametrize("given", [torch.nn.Sequential(torch.nn.Linear(2, 2)), 12, ("builtin:toy",)], ids=type)
def test_what_is_no_model_is_told_by_its_type_on_one_line(verb: str, given: object, tmp_path: Path) -> None:
    """A model of another library was taken for the name of a folder, all lines of its description."""
    if verb == "compare" and isinstance(given, tuple):
        pytest.skip("several models are compared")
    further = {"train": ("builtin:tiny?count=9", tmp_path / "out"), "export": (tmp_path / "out",)}
    source = ("builtin:tiny?count=9", tmp_path / "out.json") if verb == "compare" else ("builtin:tiny?count=9", "out")
    more = further.get(verb, source if verb in ("embed", "predict", "compare") else ())
    with pytest.raises(OptionError, match=rf"^`model` is of type {type(given).__name__}; .*\bbuiltin:NAME\b"):
        getattr(ct, verb)(given, *more)
