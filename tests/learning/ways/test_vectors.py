"""Vectors of a given model, trained further: pairs, triplets, scores, sentences alone, images with texts."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.folders import WORDS, tiny_bert, tiny_clip
from tests.learning.training import train

import classtoken as ct
from classtoken.errors import ManifestMismatch, OptionError, SourceError
from classtoken.learning.recipe import Recipe, recipe_of
from classtoken.options import TrainOptions

KNOWN = [word for word in WORDS if word.isalpha()]


def table(path: Path, names: tuple[str, ...], rows: list[tuple]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
    return path


def sentences(count: int, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(KNOWN, 5)) for _ in range(count)]


def recipe(kind: str, **tables) -> Recipe:
    plain = {
        "objective": {"kind": kind, **tables.pop("objective", {})},
        "optimiser": {"learning_rate": 2e-3, **tables.pop("optimiser", {})},
        "loop": {"epochs": 4.0, "batch": 16, **tables.pop("loop", {})},
        "data": {"held_out": 0.2, **tables.pop("data", {})},
        **tables,
    }
    return Recipe.from_dict(plain)


def in_sentence_transformers(folder: Path, texts: list[str]) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode(texts, convert_to_numpy=True)


@pytest.fixture
def triplets(tmp_path: Path) -> Path:
    first, other = sentences(60), sentences(60, 1)
    rows = [(a, " ".join(reversed(a.split())), b) for a, b in zip(first, other, strict=True)]
    return table(tmp_path / "triplets.csv", ("anchor", "positive", "negative"), rows)


def test_triplets_train_a_model_and_sentence_transformers_reads_it(tmp_path: Path, triplets: Path) -> None:
    bert = tiny_bert(tmp_path / "bert")
    found = train(triplets, tmp_path / "tuned", model=bert, recipe=recipe("pairs"))
    assert found.labels == ()
    card = (tmp_path / "tuned" / "README.md").read_text()
    assert "no classifier: its vectors were trained" in card
    assert "calibration" not in card + str(found)
    assert set(found.scores) == {"loss", "top_match", "uniformity", "triplets"}
    texts = sentences(6, 7)
    ours = ct.load(tmp_path / "tuned").embed(texts)
    assert not np.allclose(ours, ct.load(bert).embed(texts), atol=1e-3)
    assert ours == pytest.approx(in_sentence_transformers(tmp_path / "tuned", texts), abs=1e-5)
    assert ct.load(tmp_path / "tuned").contract.pooling == ct.load(bert).contract.pooling


def test_one_judging_record_has_no_figure_that_needs_two(tmp_path: Path) -> None:
    rows = [(text, " ".join(reversed(text.split()))) for text in sentences(20)]
    pairs = table(tmp_path / "pairs.csv", ("anchor", "positive"), rows)
    found = ct.train(tiny_bert(tmp_path / "bert"), pairs, tmp_path / "tuned", objective="pairs", batch=6, held_out=0.1)
    assert (found.held_out, set(found.scores)) == (2, set())
    assert "None: too few records" in (tmp_path / "tuned" / "README.md").read_text()


def test_a_vector_of_unit_length_stays_one(tmp_path: Path, triplets: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    bert = tiny_bert(tmp_path / "bert")
    word = modules.Transformer(str(bert))
    parts = [word, modules.Pooling(word.get_embedding_dimension(), "mean"), modules.Normalize()]
    SentenceTransformer(modules=parts, device="cpu").save(str(tmp_path / "origin"))
    train(triplets, tmp_path / "tuned", model=tmp_path / "origin", recipe=recipe("pairs", loop={"epochs": 1.0}))
    ours = ct.load(tmp_path / "tuned").embed(sentences(4))
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert ours == pytest.approx(in_sentence_transformers(tmp_path / "tuned", sentences(4)), abs=1e-5)


def test_pairs_in_parts_are_pairs_in_one_piece(tmp_path: Path, triplets: Path) -> None:
    """Cached gradients: the negatives of a batch in four parts are those of the whole batch."""
    bert, vectors = tiny_bert(tmp_path / "bert"), []
    for parts in (1, 4):
        out = tmp_path / str(parts)
        plain = recipe("pairs", loop={"accumulate": parts, "epochs": 1.0}, optimiser={"kind": "sgd", "clip": 0.0})
        train(triplets, out, model=bert, recipe=plain)
        vectors.append(ct.load(out).embed(sentences(8, 5)))
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-5)


@pytest.mark.slow
def test_matryoshka_makes_the_beginning_of_vectors_better(tmp_path: Path) -> None:
    """At 4 of 32 numbers the partner is found more often after a matryoshka loss than after one of the whole alone."""
    first = sentences(160)
    rows = [(a, " ".join(reversed(a.split()))) for a in first]
    source, bert, found = table(tmp_path / "pairs.csv", ("anchor", "positive"), rows), tiny_bert(tmp_path / "bert"), []
    for lengths in ([], [4]):
        out = tmp_path / str(len(lengths))
        plain = recipe("pairs", objective={"matryoshka": lengths}, loop={"epochs": 12.0, "batch": 32, "keep": "last"})
        train(source, out, model=bert, recipe=plain)
        a, b = (torch.from_numpy(ct.load(out).embed([row[i] for row in rows])[:, :4]) for i in range(2))
        a, b = (torch.nn.functional.normalize(x, dim=-1) for x in (a, b))
        found.append(float(((a @ b.T).argmax(1) == torch.arange(len(a))).float().mean()))
    assert found[1] > found[0]


@pytest.mark.slow
def test_scores_are_learned_in_their_order(tmp_path: Path) -> None:
    """Alike are pairs of one first word, whatever follows: the rank correlation on other pairs grows."""
    generator, rows = np.random.default_rng(0), []
    for a, b in zip(sentences(240), sentences(240, 1), strict=True):
        first, other = generator.choice(KNOWN[:3], 2)
        rows.append((f"{first} {a}", f"{other} {b}", int(first == other)))
    source, bert = table(tmp_path / "scored.csv", ("sentence1", "sentence2", "score"), rows), tiny_bert(tmp_path / "b")
    before = train(source, tmp_path / "0", model=bert, recipe=recipe("similarity", optimiser={"learning_rate": 0.0}))
    after = train(source, tmp_path / "1", model=bert, recipe=recipe("similarity", loop={"epochs": 12.0}))
    assert after.scores["spearman"] > before.scores["spearman"] + 0.2
    with pytest.raises(SourceError, match="no column 'mark' of scores"):
        train(source, tmp_path / "2", model=bert, recipe=recipe("similarity", data={"score_column": "mark"}))


def test_sentences_alone_train_a_model_with_dropout(tmp_path: Path) -> None:
    bert = tiny_bert(tmp_path / "bert")
    source = table(tmp_path / "texts.csv", ("text",), [(text,) for text in sentences(48)])
    found = train(source, tmp_path / "tuned", model=bert, recipe=recipe("contrast", loop={"dropout": 0.1}))
    assert found.scores["top_match"] >= 0.3  # chance 0.1
    with pytest.raises(OptionError, match="dropout above 0"):
        train(source, tmp_path / "other", model=bert, recipe=recipe("contrast"))
    assert recipe_of(TrainOptions(objective="contrast")).loop.dropout == 0.1


def test_what_pairs_lack_is_said(tmp_path: Path, triplets: Path) -> None:
    bert = tiny_bert(tmp_path / "bert")
    plain = table(tmp_path / "plain.csv", ("text", "label"), [("a", "b")] * 4)
    with pytest.raises(SourceError, match="needs columns anchor and positive, or query"):
        train(plain, tmp_path / "a", model=bert, recipe=recipe("pairs"))
    with pytest.raises(OptionError, match="below the vector's own"):
        train(triplets, tmp_path / "b", model=bert, recipe=recipe("pairs", objective={"matryoshka": [64]}))
    holes = table(tmp_path / "holes.csv", ("anchor", "positive"), [(s, s) for s in sentences(20)] + [("one", "")])
    found = train(holes, tmp_path / "c", model=bert, recipe=recipe("pairs", loop={"epochs": 1.0}))
    assert found.refused == 1
    assert found.examples[0].reason == "has nothing in the column 'positive'"
    train(triplets, tmp_path / "d", model=bert, recipe=recipe("pairs", loop={"epochs": 1.0}))
    lines = triplets.read_text().splitlines()
    triplets.write_text("\n".join([*lines[:-1], lines[-1].rsplit(",", 1)[0] + ",hot"]) + "\n")
    with pytest.raises(ManifestMismatch, match="records differ"):
        train(triplets, tmp_path / "d", model=bert, recipe=recipe("pairs", loop={"epochs": 1.0}))


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    from PIL import Image

    colours = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220)}
    (tmp_path / "images").mkdir()
    rows, generator = [], np.random.default_rng(0)
    for number in range(48):
        name = list(colours)[number % 3]
        noise = generator.integers(-30, 30, (32, 32, 3))
        Image.fromarray(np.clip(np.array(colours[name]) + noise, 0, 255).astype(np.uint8)).save(
            tmp_path / "images" / f"{number}.png"
        )
        rows.append((f"images/{number}.png", KNOWN[list(colours).index(name)]))
    return table(tmp_path / "captions.csv", ("image", "text"), rows)


def test_images_and_texts_train_both_sides_and_transformers_reads_them(tmp_path: Path, captions: Path) -> None:
    from transformers import CLIPModel

    clip = tiny_clip(tmp_path / "clip")
    found = train(captions, tmp_path / "tuned", model=clip, recipe=recipe("clip", loop={"batch": 12, "epochs": 10.0}))
    assert set(found.scores) == {"top_match"}
    embedder, before = ct.load(tmp_path / "tuned"), CLIPModel.from_pretrained(clip)
    theirs = CLIPModel.from_pretrained(tmp_path / "tuned")
    assert not torch.allclose(theirs.text_projection.weight, before.text_projection.weight, atol=1e-4)
    assert float(theirs.logit_scale.detach()) != float(before.logit_scale.detach())
    texts = embedder.tower("text").tokens([KNOWN[0], f"{KNOWN[1]} {KNOWN[2]}"])
    with torch.no_grad():
        wanted = theirs.get_text_features(input_ids=texts.ids_BL, attention_mask=(texts.roles_BL > 0).long())
    wanted = torch.nn.functional.normalize(getattr(wanted, "pooler_output", wanted), dim=-1).numpy()
    assert embedder.embed([KNOWN[0], f"{KNOWN[1]} {KNOWN[2]}"], modality="text") == pytest.approx(wanted, abs=1e-5)
    images = [tmp_path / "images" / f"{n}.png" for n in range(3)]
    likeness = embedder.embed(images, modality="image") @ embedder.embed(KNOWN[:3], modality="text").T
    assert likeness.argmax(1).tolist() == [0, 1, 2]


def test_clip_needs_two_sides(tmp_path: Path, captions: Path) -> None:
    with pytest.raises(OptionError, match="has one side"):
        train(captions, tmp_path / "x", model=tiny_bert(tmp_path / "bert"), recipe=recipe("clip"))


def test_prompts_are_put_before_their_columns(tmp_path: Path, triplets: Path) -> None:
    """Columns with a prompt in words train as if it stood in the file."""
    bert, vectors = tiny_bert(tmp_path / "bert"), []
    with triplets.open() as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    said = table(tmp_path / "said.csv", ("anchor", "positive", "negative"), [(f"hot {a}", b, c) for a, b, c in rows])
    for source, prompts in ((triplets, ["hot "]), (said, [])):
        out = tmp_path / f"out-{source.stem}"
        train(source, out, model=bert, recipe=recipe("pairs", data={"prompts": prompts}, loop={"epochs": 1.0}))
        vectors.append(ct.load(out).embed(sentences(4)))
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-6)


def test_half_a_batch_again_is_gone_on_with(tmp_path: Path, triplets: Path) -> None:
    """More epochs and another batch size take a run up where it stood."""
    bert, out = tiny_bert(tmp_path / "bert"), tmp_path / "out"
    first = train(triplets, out, model=bert, recipe=recipe("pairs", loop={"epochs": 2.0, "batch": 16}))
    again = train(triplets, out, model=bert, recipe=recipe("pairs", loop={"epochs": 4.0, "batch": 8}))
    assert first.steps == 6
    assert again.steps == 24
    with (out / "log.csv").open() as file:
        epochs = [float(row["epoch"]) for row in csv.DictReader(file)]
    assert epochs == sorted(epochs)
    assert epochs[-1] == 4.0


def test_blocks_computed_again_give_the_same_numbers(tmp_path: Path, triplets: Path) -> None:
    bert, vectors = tiny_bert(tmp_path / "bert"), []
    for again in (False, True):
        out = tmp_path / str(again)
        train(triplets, out, model=bert, recipe=recipe("pairs", loop={"recompute": again, "dropout": 0.1}))
        vectors.append(ct.load(out).embed(sentences(4)))
    assert np.array_equal(vectors[0], vectors[1])
