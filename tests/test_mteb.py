"""`mteb`'s encoder protocol, with batches as it hands them on; and one task of its own where it is installed."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from tests import folders

import classtoken as ct
from classtoken.errors import OptionError
from classtoken.mteb import MtebEncoder


class PromptKind(Enum):
    """As mteb's PromptType."""

    query = "query"
    document = "document"


@dataclass
class TaskCard:
    """What mteb says of a task."""

    name: str = "ATask"
    type: str = "STS"


def batches(texts: list[str], size: int = 3) -> list[dict[str, list[str]]]:
    return [{"text": texts[at : at + size]} for at in range(0, len(texts), size)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.sentence_transformer(tmp_path_factory.mktemp("mteb") / "texts", prompts=True)


def test_vectors_are_those_of_the_readout(model: Path) -> None:
    for pooling in (None, "cls", "mean@1"):
        encoder = MtebEncoder(model, pooling=pooling)
        expected = ct.load(model, pooling=pooling).embed(folders.SENTENCES)
        found = encoder.encode(batches(folders.SENTENCES), task_metadata=TaskCard(), hf_split="test", hf_subset="en")
        np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(OptionError, match="a task scores one vector"):
        MtebEncoder(model, pooling="cls,mean")


def test_an_empty_text_of_a_task_has_a_vector(model: Path) -> None:
    encoder, plain = MtebEncoder(model), ct.load(model)
    found = encoder.encode(batches(["a dog", "", "cat", " "], 4), task_metadata=TaskCard())
    np.testing.assert_allclose(found[[0, 2]], plain.embed(["a dog", "cat"]), atol=1e-6)
    (nothing,) = plain.vectors_of(plain.tokens([""])).values()
    np.testing.assert_allclose(found[[1, 3]], np.repeat(nothing, 2, axis=0), atol=1e-6)


def test_prompts_are_those_of_the_task(model: Path) -> None:
    encoder, plain = MtebEncoder(model), ct.load(model)
    for kind in PromptKind:
        found = encoder.encode(batches(folders.SENTENCES), task_metadata=TaskCard(), prompt_type=kind)
        np.testing.assert_allclose(found, plain.embed(folders.SENTENCES, prompt=kind.value), atol=1e-6)
    named = encoder.encode(batches(folders.SENTENCES), task_metadata=TaskCard(name="document"))
    np.testing.assert_allclose(named, plain.embed(folders.SENTENCES, prompt="document"), atol=1e-6)
    assert encoder.prompts_used == {"ATask query": "the red cat", "ATask document": "a", "document": "a"}


def test_images_and_similarities(tmp_path: Path) -> None:
    folder = folders.tiny_vit(tmp_path / "vit", pooler=False)
    encoder, pictures = MtebEncoder(folder), folders.pictures(3)
    found = encoder.encode([{"image": pictures[:2]}, {"image": pictures[2:]}], task_metadata=TaskCard())
    np.testing.assert_allclose(found, ct.load(folder).embed(pictures), atol=1e-5)
    every = encoder.similarity(found, found)
    assert every.shape == (3, 3)
    np.testing.assert_allclose(encoder.similarity_pairwise(found, found), 1, atol=1e-5)
    np.testing.assert_allclose(np.diag(every), 1, atol=1e-5)
    with pytest.raises(OptionError, match="a text and an image"):
        encoder.encode([{"image": pictures[:1], "text": ["a cat"]}])


def test_a_task_of_mteb_on_local_data(model: Path) -> None:
    """Skipped where mteb is not installed: it is in no environment of this project."""
    mteb = pytest.importorskip("mteb", reason="mteb is not installed")
    from tests.mteb_task import local_task

    result = mteb.evaluate(MtebEncoder(model), local_task(), cache=None)
    scores = result.task_results[0].scores["test"][0]
    assert -1 <= scores["main_score"] <= 1
