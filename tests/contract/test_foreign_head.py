"""Published classifiers that no row of the table knows: as their class of transformers computes them, or refused."""

import copy
import csv
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tests.folders import SENTENCES, WORDS, bert_tokenizer, image_processor, pictures, randomise

import classtoken as ct
from classtoken.errors import ContractError

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
TEXT = {"vocab_size": len(WORDS), "max_position_embeddings": 64, "num_labels": 3, "pad_token_id": 0}
STAGES = {"depths": [1, 1], "num_labels": 3}
WINDOWS = {"image_size": 32, "patch_size": 4, "embed_dim": 16, "num_heads": [2, 2], "window_size": 4, **STAGES}
Made = Callable[[], Any]
TEXTS: dict[str, tuple[Made, str]] = {
    "deberta-v2": (lambda: hf.DebertaV2Config(**SIZES, **TEXT), "cls"),
    "roformer": (lambda: hf.RoFormerConfig(**SIZES, **TEXT), "cls"),
    "fnet": (lambda: hf.FNetConfig(**SIZES, **TEXT, type_vocab_size=2), "pooler"),
    "gpt_neox": (lambda: hf.GPTNeoXConfig(**SIZES, **TEXT), "last"),
    "qwen3": (lambda: hf.Qwen3Config(**SIZES, **TEXT, num_key_value_heads=2, head_dim=8), "last"),  # a native encoder
}
IMAGES: dict[str, tuple[Made, str]] = {
    "swin": (lambda: hf.SwinConfig(**WINDOWS), "pooler"),
    "convnext": (lambda: hf.ConvNextConfig(num_stages=2, hidden_sizes=[8, 16], **STAGES), "pooler"),
    "pvt_v2": (lambda: hf.PvtV2Config(image_size=32, num_labels=3), "mean"),
}


def text_folder(config: Any, folder: Path) -> Path:
    torch.manual_seed(0)
    randomise(hf.AutoModelForSequenceClassification.from_config(config)).save_pretrained(folder)  # type: ignore[attr-defined]
    bert_tokenizer(folder)
    return folder


def theirs(folder: Path) -> np.ndarray:
    """Logits of the class itself, each text alone."""
    model = hf.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return np.concatenate([model(**tokenizer(text, return_tensors="pt")).logits for text in SENTENCES])


@pytest.mark.parametrize("kind", TEXTS)
def test_texts(kind: str, tmp_path: Path) -> None:
    config, reads = TEXTS[kind]
    folder = text_folder(config(), tmp_path)
    embedder = ct.load(folder)
    assert np.abs(embedder.logits(SENTENCES) - theirs(folder)).max() <= 1e-5
    classifier = embedder.classifying().reading.classifier
    assert classifier is not None
    assert str(classifier.readout.spec) == reads
    assert embedder.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert str(embedder.contract.pooling) == reads


@pytest.mark.parametrize("kind", IMAGES)
def test_images(kind: str, tmp_path: Path) -> None:
    config, reads = IMAGES[kind]
    torch.manual_seed(0)
    model = hf.AutoModelForImageClassification.from_config(config()).eval()
    model.save_pretrained(tmp_path)
    image_processor(tmp_path)
    processor = hf.AutoImageProcessor.from_pretrained(tmp_path)
    shown = pictures(3)
    with torch.no_grad():
        wanted = np.concatenate([model(**processor([one], return_tensors="pt")).logits for one in shown])
    embedder = ct.load(tmp_path)
    assert np.abs(embedder.logits(shown) - wanted).max() <= 1e-5
    assert str(embedder.contract.pooling) == reads


def test_its_answers_outlive_saving_and_other_processes(tmp_path: Path) -> None:
    folder = text_folder(TEXTS["deberta-v2"][0](), tmp_path / "model")
    table = tmp_path / "texts.txt"
    table.write_text("\n".join(SENTENCES))
    embedder = ct.load(folder)
    wanted = torch.from_numpy(embedder.logits(SENTENCES)).softmax(-1).numpy()
    ct.predict(folder, table, out=tmp_path / "out", every=True)
    with (tmp_path / "out" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = np.array([[float(row[f"p:{label}"]) for label in embedder.labels] for row in rows])
    assert np.abs(found - wanted).max() <= 1e-5
    embedder.save(tmp_path / "saved")
    again = torch.from_numpy(ct.load(tmp_path / "saved").logits(SENTENCES)).softmax(-1).numpy()
    assert np.abs(again - wanted).max() <= 1e-5


def test_several_threads_have_their_own_answers(tmp_path: Path) -> None:
    embedder = ct.load(text_folder(TEXTS["deberta-v2"][0](), tmp_path))
    wanted = [embedder.logits([text]) for text in SENTENCES]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: embedder.logits([text]), SENTENCES * 20))
    assert all(np.abs(logits - wanted[n % len(wanted)]).max() <= 1e-5 for n, logits in enumerate(found))
    again = pickle.loads(pickle.dumps(copy.deepcopy(embedder)))
    assert np.abs(again.logits(SENTENCES) - np.concatenate(wanted)).max() <= 1e-5


@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
def test_what_its_numbers_are(problem: str, tmp_path: Path) -> None:
    config = TEXTS["deberta-v2"][0]()
    config.problem_type = problem
    embedder = ct.load(text_folder(config, tmp_path))
    classifier = embedder.classifying().reading.classifier
    assert classifier is not None
    assert (classifier.multilabel, classifier.regression) == (problem.startswith("multi"), problem == "regression")


def test_a_head_without_weights_is_none(tmp_path: Path) -> None:
    """transformers would draw them at random."""
    folder = text_folder(TEXTS["deberta-v2"][0](), tmp_path)
    file = folder / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(file).items() if not name.startswith("classifier.")}
    save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(ContractError, match="a classifier of this kind is not read here"):
        ct.load(folder, pooling="mean").logits(SENTENCES)


OTHERS: dict[str, Made] = {
    "Longformer's lets the first token attend to all others": lambda: hf.LongformerConfig(
        **SIZES, **TEXT, attention_window=8
    ),
    "BART's reads the decoder's last state": lambda: hf.BartConfig(
        **TEXT, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, eos_token_id=3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", OTHERS)
def test_one_that_reads_something_else_is_refused(why: str, tmp_path: Path) -> None:
    folder = text_folder(OTHERS[why](), tmp_path)
    with pytest.raises(ContractError, match="a classifier of this kind is not read here"):
        ct.load(folder, pooling="mean").logits(SENTENCES)


@pytest.mark.parametrize("kind", ["qwen3", "gpt_neox"])
def test_an_end_that_counts_as_padding_is_refused(kind: str, tmp_path: Path) -> None:
    """transformers reads the last token that is not `pad_token_id`: not the end of a text where both are one token."""
    config = TEXTS[kind][0]()
    config.pad_token_id = WORDS.index("[SEP]")
    folder = text_folder(config, tmp_path)
    with pytest.raises(ContractError, match="a classifier of this kind is not read here"):
        ct.load(folder, pooling="last").logits(SENTENCES)
