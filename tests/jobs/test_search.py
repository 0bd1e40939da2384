"""`search` with real model folders: what comes first, what is carried, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests import folders
from tests.nearest.made import folder_of

import classtoken as ct
from classtoken.cli import main
from classtoken.errors import ClasstokenError, OptionError, OutputError
from classtoken.options import SearchOptions
from classtoken.results.search import SearchResult

TEXTS = ["the cat sits on a mat", "a dog runs", "the red bird", "a blue house far away", "the cat", "a dog", "bird"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Path:
    place = tmp_path_factory.mktemp("made")
    rows = [
        {"id": f"t{i}", "text": text, "label": "even" if i % 2 == 0 else "odd", "price": i, "score": i / 2}
        for i, text in enumerate(TEXTS)
    ]
    (place / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ct.embed(bert, place / "texts.jsonl", place / "vectors", part_rows=3)
    return place / "vectors"


def test_a_text_finds_itself_first_with_what_is_carried(made: Path) -> None:
    found = ct.search(made, TEXTS[3], k=3)
    assert len(found.hits) == 3
    assert found.exact
    assert found.hits[0] == {
        "id": "t3", "score": pytest.approx(1, abs=1e-5), "label": "odd", "text": TEXTS[3], "price": 3,
        "score_source": 1.5,
    }  # fmt: skip
    assert SearchResult.from_json(found.to_json()) == found
    assert TEXTS[3] in str(found)


def test_scores_are_cosines_of_the_model(made: Path, bert: Path) -> None:
    vectors = ct.load(bert).embed([*TEXTS, "a red cat"])
    assert isinstance(vectors, np.ndarray)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = ct.search(made, "a red cat", k=100)
    expected = {f"t{i}": float(unit[i] @ unit[-1]) for i in range(len(TEXTS))}
    assert {hit["id"]: hit["score"] for hit in found.hits} == pytest.approx(expected, abs=1e-5)
    dot = ct.search(made, "a red cat", k=1, similarity="dot").hits[0]
    assert dot["score"] == pytest.approx(float(max(vectors[:-1] @ vectors[-1])), rel=1e-5)


def test_a_row_by_its_id_leaves_itself_out(made: Path) -> None:
    found = ct.search(made, id="t4", k=10)
    assert "t4" not in {hit["id"] for hit in found.hits}
    assert len(found.hits) == len(TEXTS) - 1
    assert found.model is None
    with pytest.raises(OptionError, match="no vector with the id 'nobody'"):
        ct.search(made, id="nobody")


def test_several_queries_in_a_list_a_file_and_a_folder(made: Path, tmp_path: Path) -> None:
    asked = [TEXTS[1], TEXTS[2]]
    (tmp_path / "asked.txt").write_text("\n".join(asked))
    ct.embed(ct.read(made).manifest.model, tmp_path / "asked.txt", tmp_path / "asked")
    for found in (
        ct.search(made, asked, k=2),
        ct.search(made, queries=tmp_path / "asked.txt", k=2),
        ct.search(made, queries=tmp_path / "asked", k=2),
    ):
        assert [query.hits[0]["id"] for query in found.queries] == ["t1", "t2"]
        assert found.hits == ()
        assert SearchResult.from_json(found.to_json()) == found
    assert [query.query for query in ct.search(made, asked).queries] == asked


def test_a_condition_and_a_threshold(made: Path) -> None:
    found = ct.search(made, "the cat", where="price >= 2 and label = 'even'", k=50)
    assert {hit["id"] for hit in found.hits} == {"t2", "t4", "t6"}
    assert (found.searched, found.rows) == (3, len(TEXTS))
    assert [hit["id"] for hit in ct.search(made, "the cat", above=0.9999).hits] == ["t4"]
    assert ct.search(made, "the cat", where="price > 99").hits == ()
    assert "nothing found" in str(ct.search(made, "the cat", where="price > 99"))


def test_another_space_is_refused_by_name(made: Path, tmp_path: Path) -> None:
    other = folders.tiny_bert(tmp_path / "other")
    folders.randomise(__import__("transformers").BertModel.from_pretrained(other), 3).save_pretrained(other)
    with pytest.raises(OptionError, match=r"other' gives text vectors of another space.*weights that differ"):
        ct.search(made, "the cat", model=str(other))
    vit = folders.tiny_vit(tmp_path / "vit", pooler=False)
    (tmp_path / "cat.png").write_bytes(b"")
    with pytest.raises(OptionError, match="gives image vectors of another space"):
        ct.search(made, image=str(tmp_path / "cat.png"), model=str(vit))
    with pytest.raises(OptionError, match="Embed both alike"):
        ct.search(made, queries=folder_of(tmp_path / "strange", np.eye(32, dtype=np.float32)))


def test_words_find_pictures_with_a_model_of_both_sides(tmp_path: Path) -> None:
    clip = folders.tiny_clip(tmp_path / "clip")
    (tmp_path / "photos").mkdir()
    for i, picture in enumerate(folders.pictures(4)):
        picture.save(tmp_path / "photos" / f"{i}.png")
    ct.embed(clip, tmp_path / "photos", tmp_path / "vectors")
    found = ct.search(tmp_path / "vectors", "a red cat", k=2, out=tmp_path / "page.html")
    sides = ct.load(clip)
    text, images = sides.embed(["a red cat"], modality="text"), ct.read(tmp_path / "vectors").matrix("cls")
    scores = images @ text[0] / np.linalg.norm(images, axis=1) / np.linalg.norm(text[0])
    assert [hit["id"] for hit in found.hits] == [f"{i}.png" for i in np.argsort(-scores)[:2]]
    picture = tmp_path / "photos" / "2.png"
    for query in (str(picture), picture, Image.open(picture)):
        assert ct.search(tmp_path / "vectors", query, k=1, model=sides).hits[0]["id"] == "2.png"
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "nothing is searched for"),
        ({"text": "a", "id": "b"}, "`text` and `id` are given"),
        ({"query": "cat.png"}, "is the name of a file"),  # `text` says that it is one
        ({"text": "a", "k": 0}, "`k` must be 1 or more"),
        ({"text": "a", "column": "gem"}, "holds no vectors 'gem'"),
        ({"text": "a", "where": "nothing = 1"}, "no column 'nothing'"),
        ({"queries": "nowhere.csv"}, "nowhere.csv"),
        ({"text": " "}, "a query is empty"),
        ({"text": "a", "source_options": ct.SourceOptions(encoding="cp1252")}, "`encoding`: only with `queries`"),
        ({"id": "r1", "prompt_text": "query: "}, "`prompt_text`: not with `id`"),
    ],
)
def test_what_cannot_be_searched_for_is_said_in_a_line(made: Path, options: dict, said: str) -> None:
    with pytest.raises(ClasstokenError) as raised:
        ct.search(made, **options)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_folders_without_vectors_and_damaged_ones(tmp_path: Path, made: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(OutputError, match="holds no vectors"):
            ct.search(folder, "a")
    broken = folder_of(tmp_path / "broken", np.eye(5, dtype=np.float32))
    next(broken.glob("part-*.parquet")).write_bytes(b"PAR1 nonsense")
    with pytest.raises(OutputError, match="cannot be read"):
        ct.search(broken, id="row1")


def test_the_command(made: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["search", str(made), TEXTS[0], "-k", "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [set(hit) for hit in said["hits"]] == [{"id", "score", "label", "text", "price", "score_source"}] * 2
    assert main(["search", str(made), "--id", "t1", "--out", str(tmp_path / "found.html")]) == 0
    assert "t5" in capsys.readouterr().out
    assert "<h1>Most like t1</h1>" in (tmp_path / "found.html").read_text()
    assert "asked with</small><p>" in (tmp_path / "found.html").read_text()
    assert main(["search", str(made), "--id", "t1", "--out", str(tmp_path / "found.pdf")]) == 2
    assert main(["search", str(made), "x", "--where", "price <"]) == 2
    assert "--where" in capsys.readouterr().err


def test_a_folder_that_stays_in_memory_answers_alike(
    made: Path, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from classtoken.nearest import searcher as module

    for worth in (module.WORTH_CODING, 0):  # by the vectors, and by their codes
        monkeypatch.setattr(module, "WORTH_CODING", worth)
        monkeypatch.setattr(module, "quick", lambda: True)
        searcher = ct.Searcher(made, model=ct.load(bert))
        for asked in (
            {"query": "a red cat"},
            {"id": "t4"},
            {"query": TEXTS[:3]},
            {"query": "bird", "where": "price < 3"},
        ):
            here, there = searcher.search(**asked, k=3), ct.search(made, **asked, k=3, model=bert)
            pairs = zip(here.queries or (here,), there.queries or (there,), strict=True)
            for found, other in pairs:
                assert [hit["id"] for hit in found.hits] == [hit["id"] for hit in other.hits]
                assert [hit["score"] for hit in found.hits] == pytest.approx([hit["score"] for hit in other.hits])
    assert not searcher.stale
    with pytest.raises(OptionError, match="nothing is searched for"):
        searcher.search()


def test_a_folder_that_changed_is_stale(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    ct.embed(bert, tmp_path / "texts.txt", tmp_path / "vectors")
    searcher = ct.Searcher(tmp_path / "vectors")
    (tmp_path / "texts.txt").write_text("\n".join([*TEXTS, "one more"]))
    ct.embed(bert, tmp_path / "texts.txt", tmp_path / "vectors", update=True)
    assert searcher.stale
    assert len(ct.Searcher(tmp_path / "vectors").search("one more", k=20).hits) == len(TEXTS) + 1


def test_the_best_row_is_explained(made: Path, bert: Path, tmp_path: Path) -> None:
    from classtoken.results.explain_pair import PairExplanation

    found = ct.search(made, "the red cat", k=2, explain=tmp_path / "why.json")
    why = PairExplanation.from_json((tmp_path / "why.json").read_text())
    assert why.similarity == pytest.approx(found.hits[0]["score"], abs=1e-4)
    assert why.other.name == found.hits[0]["text"]
    assert main(["search", str(made), "--id", "t4", "-k", "1", "--explain", str(tmp_path / "why.html")]) == 0
    assert "<html" in (tmp_path / "why.html").read_text()
    with pytest.raises(OptionError, match="there are 2 queries"):
        ct.search(made, ["a", "b"], explain=tmp_path / "other.html")
    with pytest.raises(OptionError, match="nothing was found"):
        ct.search(made, "a", above=1.5, explain=tmp_path / "other.html")
    bare = folder_of(tmp_path / "bare", np.eye(5, dtype=np.float32))
    with pytest.raises(OptionError, match="does not carry"):
        ct.search(bare, id=ct.read(bare).ids[0], explain=tmp_path / "other.html", model=ct.load(bert))


@pytest.mark.parametrize("value", [float("nan"), np.float32("nan")])
def test_an_option_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(OptionError, match="`above` is nan, which is no number"):
        SearchOptions(above=value)


def test_a_picture_is_explained_and_not_the_words_beside_it(tmp_path: Path) -> None:
    from classtoken.jobs.search import _input

    picture = tmp_path / "cat.png"
    Image.new("RGB", (8, 8)).save(picture)
    row = {"text": "a cat", "path": str(picture)}
    assert (_input(row, "0", "image"), _input(row, "0", "text")) == (picture, "a cat")
    with pytest.raises(OptionError, match="needs the text or the picture of '0'"):
        _input({"text": "a cat"}, "0", "image")


def test_the_page_of_a_search_takes_a_column_called_path_as_it_is(tmp_path: Path) -> None:
    vectors = np.eye(3, dtype=np.float32)
    folder = folder_of(tmp_path / "folder", vectors, carried={"text": ["a", "b", "c"], "path": [1, 2, 3]})
    found = ct.search(folder, out=tmp_path / "page.html", id="row0", k=1)
    assert found.hits[0]["path"] == 2
    assert (tmp_path / "page.html").exists()
