"""Services with one planted fault each: every one is named, none falsely, and a right one of less precision passes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from tests import folders
from tests.audit.servers import FakeService, Runtime, vectors

import classtoken as ct
from classtoken.cli import main
from classtoken.embedder import Embedder
from classtoken.errors import OptionError, SourceError
from classtoken.results.verify import Diagnosis

RIGHT = Runtime(prompt="the red cat ", longest=12)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two blocks with a dense layer and prompts, and the same with other weights."""
    root = tmp_path_factory.mktemp("audit")
    folders.sentence_transformer(root / "right", dense=32, prompts=True)
    spaced = (root / "right" / "config_sentence_transformers.json").read_text().replace("the red cat", "the red cat ")
    (root / "right" / "config_sentence_transformers.json").write_text(spaced)
    return root


@pytest.fixture(scope="module")
def meant(place: Path) -> Embedder:
    return ct.load(place / "right")


@pytest.fixture(scope="module")
def dense(place: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    (file,) = (place / "right").glob("*_Dense/model.safetensors")
    weights = load_file(file)
    return lambda x: torch.tanh(weights["linear.weight"] @ x + weights["linear.bias"])


def asked(meant: Embedder, embed: Callable, way: str = "openai") -> Diagnosis:
    with FakeService(embed, way) as service:
        found = ct.verify(model=meant, endpoint=service.url)
    assert isinstance(found, Diagnosis)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (RIGHT, ()),
        (Runtime("cls", prompt=RIGHT.prompt, longest=12), ("pooling",)),
        (Runtime(unit=False, prompt=RIGHT.prompt, longest=12), ("normalization",)),
        (Runtime(prompt="", longest=12), ("prompt",)),
        (Runtime(prompt="a", longest=12), ("prompt",)),
        (Runtime(prompt="query: ", longest=12), ("prompt",)),
        (Runtime(end=False, prompt=RIGHT.prompt, longest=12), ("end_token",)),
        (Runtime(layer=-2, prompt=RIGHT.prompt, longest=12), ("layer",)),
        (Runtime(prompt=RIGHT.prompt, longest=32), ("truncation",)),
    ],
    ids=["right", "cls", "lengths", "no prompt", "other prompt", "strange prompt", "no end", "layer", "longer"],
)
def test_a_planted_fault_is_named(
    place: Path, meant: Embedder, dense: Callable, how: Runtime, expected: tuple[str, ...]
) -> None:
    found = asked(meant, vectors(place / "right", how, dense))
    assert found.differs_by == expected, str(found)
    assert found.verdict == ("differs" if expected else "matches")
    assert found.found_cosine == pytest.approx(1, abs=1e-5)
    assert Diagnosis.from_json(found.to_json()) == found


def test_a_dense_layer_that_is_left_out(place: Path, meant: Embedder) -> None:
    found = asked(meant, vectors(place / "right", RIGHT))
    assert found.differs_by == ("dense",)
    assert "without dense 32 -> 32, tanh" in found.found


@pytest.mark.slow
def test_another_model_of_the_same_size(place: Path, meant: Embedder) -> None:
    def other(texts: list[str]) -> np.ndarray:
        words = [np.random.default_rng(len(text)).normal(size=32) for text in texts]
        return np.stack([word / np.linalg.norm(word) for word in words])

    found = asked(meant, other)
    assert (found.verdict, found.differs_by) == ("differs", ("model",))


@pytest.mark.slow
def test_a_prompt_that_nobody_knows_is_not_taken_for_a_match(place: Path, meant: Embedder, dense: Callable) -> None:
    found = asked(meant, vectors(place / "right", Runtime(prompt="blue blue house far: ", longest=12), dense))
    assert found.verdict in ("unknown", "differs")
    assert found.differs_by in ((), ("model",))


FILMS = [f"a {word} film about {what}" for word in ("dull", "lovely", "long") for what in ("war", "tea", "an old man")]


@pytest.mark.parametrize(
    ("change", "differs", "said"),
    [
        (lambda v: v * 0.5, ("normalization",), "differ by normalization"),
        (lambda v: v / np.linalg.norm(v, axis=1, keepdims=True), ("normalization",), "differ by normalization"),
        (lambda v: v.astype(np.float16).astype(np.float32), (), "these are the vectors of builtin:sentiment, "),
        (lambda v: v[:, :64], (), "these are the first 64 of 128 numbers of the vectors of builtin:sentiment, "),
        (lambda v: v[:, :64] * 2, ("normalization",), "differ by normalization"),
    ],
    ids=["half as long", "unit length", "fp16", "half of the numbers", "half, twice as long"],
)
def test_vectors_without_unit_length_are_held_against_their_own(
    tmp_path: Path, change: Callable[[np.ndarray], np.ndarray], differs: tuple[str, ...], said: str
) -> None:
    made = change(ct.load("builtin:sentiment").embed(FILMS))
    pq.write_table(pa.table({"text": FILMS, "vector": list(made)}), tmp_path / "theirs.parquet")
    found = ct.verify(model="builtin:sentiment", against=tmp_path / "theirs.parquet")
    assert isinstance(found, Diagnosis)
    assert (found.differs_by, found.ok) == (differs, not differs), str(found)
    assert said in str(found)
    assert found.part_of == (None if made.shape[1] == 128 else 128)


class TestOfRealWeights:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("how", "expected", "drift"),
        [
            (Runtime(half=True), (), "16-bit"),
            (Runtime(eight=True), (), "8-bit"),
            (Runtime(longest=128), ("truncation",), "last digits"),
            (Runtime("cls", unit=False, longest=128), ("pooling", "normalization", "truncation"), "last digits"),
            (Runtime("cls", eight=True), ("pooling",), "8-bit"),
        ],
        ids=["fp16", "int8", "cut at 128", "three faults", "cls in int8"],
    )
    def test_faults_are_named_and_precision_is_none(
        self, minilm: Path, how: Runtime, expected: tuple[str, ...], drift: str
    ) -> None:
        found = asked(ct.load(minilm), vectors(minilm, how))
        assert found.differs_by == expected, str(found)
        assert drift in found.drift


@pytest.mark.slow
@pytest.mark.parametrize("way", ["openai", "tei", "ollama"])
def test_services_are_asked_in_their_way(place: Path, meant: Embedder, dense: Callable, way: str) -> None:
    found = asked(meant, vectors(place / "right", RIGHT, dense), way)
    assert found.ok
    assert {"openai": "OpenAI", "tei": "TEI", "ollama": "Ollama"}[way] in found.evidence[0]


def test_a_service_that_refuses_long_texts_is_judged_by_the_others(
    place: Path, meant: Embedder, dense: Callable
) -> None:
    with FakeService(vectors(place / "right", RIGHT, dense), "openai", refuse_longer=15) as service:
        found = ct.verify(model=meant, endpoint=f"{service.url}/v1/embeddings")
    assert found.ok
    assert any("is refused (status 413" in line for line in found.evidence)


def test_our_own_service(place: Path, meant: Embedder) -> None:
    from tests.serve.test_service import RunningService

    running = RunningService(ct.service({"mine": meant}))
    try:
        found = ct.verify(model=meant, endpoint=running.url)
        wrong = ct.verify(model=meant, endpoint=running.url, prompt="document")
    finally:
        running.stop()
    assert found.ok
    assert wrong.differs_by == ("prompt",)


def test_what_is_no_service(meant: Embedder) -> None:
    with pytest.raises(SourceError, match=r"^127\.0\.0\.1:9: nothing listens there; start the service"):
        ct.verify(model=meant, endpoint="http://127.0.0.1:9/v1")
    with pytest.raises(SourceError, match="is no address of a service"):
        ct.verify(model=meant, endpoint="localhost")
    with (
        FakeService(lambda texts: np.zeros((1, 3)), "openai") as service,
        pytest.raises(SourceError, match="1 vectors for"),
    ):
        ct.verify(model=meant, endpoint=f"{service.url}/v1/embeddings")
    with pytest.raises(OptionError, match="`model` is missing"):
        ct.verify(endpoint="http://127.0.0.1:9")
    with pytest.raises(OptionError, match="give one of a folder, `endpoint` and `against`; none is given"):
        ct.verify()


class TestAgainstAFile:
    def stored(self, path: Path, texts: list[str], found: np.ndarray) -> Path:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"sentence": texts, "vector": list(found)}), path)
        return path

    @pytest.mark.slow
    def test_of_somebody(self, place: Path, meant: Embedder, dense: Callable, tmp_path: Path) -> None:
        texts = [*folders.SENTENCES, "a bird and a mat", "the blue house", "far away and red", "dog"] * 2
        texts += ["a bird on a mat " * 8, "the cat and the dog " * 9]
        right = vectors(place / "right", RIGHT, dense)(texts)
        assert ct.verify(model=meant, against=self.stored(tmp_path / "a.parquet", texts, right)).ok
        wrong = vectors(place / "right", Runtime("cls", prompt=RIGHT.prompt, longest=12), dense)(texts)
        found = ct.verify(model=meant, against=self.stored(tmp_path / "b.parquet", texts, wrong))
        assert found.differs_by == ("pooling",)
        code = main(["verify", "--model", str(place / "right"), "--against", str(tmp_path / "b.parquet"), "--json"])
        assert code == 2

    def test_of_a_folder_of_ours(self, place: Path, meant: Embedder, tmp_path: Path) -> None:
        source = tmp_path / "texts.txt"
        source.write_text("\n".join([*folders.SENTENCES, "a bird", "the blue house", "far away"]))
        ct.embed(meant, source, tmp_path / "vectors")
        assert ct.verify(model=meant, against=tmp_path / "vectors").ok

    def test_what_cannot_be_read(self, meant: Embedder, tmp_path: Path) -> None:
        for name, content, says in (
            ("a.csv", "text,vector\n", "is no .parquet or .jsonl"),
            ("a.jsonl", "{", "cannot be read"),
            ("b.jsonl", '{"text": "cat", "number": 3}\n', "name it with `vector_column`"),
            ("c.jsonl", '{"text": "cat", "vector": [1.0, 2.0]}\n', "holds 1 texts with a vector"),
        ):
            (tmp_path / name).write_text(content)
            with pytest.raises(SourceError, match=says):
                ct.verify(model=meant, against=tmp_path / name)
