"""Search through the service: the answers of `search`, what is refused, and a folder that changes meanwhile."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests import folders
from tests.serve.test_service import RunningService

import classtoken as ct
from classtoken.errors import OptionError
from classtoken.results.search import SearchResult
from classtoken.serve import folders as module

TEXTS = ["the cat sits on a mat", "a dog runs", "the red bird", "a blue house far away", "the cat"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("found")
    folders.tiny_bert(root / "texts")
    folders.tiny_clip(root / "both")
    (root / "texts.csv").write_text("id,text,label\n" + "\n".join(f"t{i},{t},{i % 2}" for i, t in enumerate(TEXTS)))
    (root / "photos").mkdir()
    for i, picture in enumerate(folders.pictures(4)):
        picture.save(root / "photos" / f"{i}.png")
    ct.embed(root / "texts", root / "texts.csv", root / "vectors")
    ct.embed(root / "both", root / "photos", root / "pictures")
    return root


@pytest.fixture(scope="module")
def running(place: Path) -> Iterator[RunningService]:
    models = {"texts": place / "texts", "both": place / "both"}
    served = {"vectors": place / "vectors", "pictures": place / "pictures"}
    made = RunningService(ct.service(models, folder=served))
    yield made
    made.stop()


@pytest.fixture
def client(running: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as made:
        yield made


def found(client: httpx.Client, **body: object) -> SearchResult:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    return SearchResult.from_json(answer.text)


def test_the_answers_are_those_of_search(client: httpx.Client, place: Path) -> None:
    for asked in (
        {"query": "a red cat"},
        {"id": "t2"},
        {"query": "a dog", "where": "label = '1'"},
        {"query": "cat", "above": 0.5},
    ):
        here = found(client, folder="vectors", k=3, **asked)
        there = ct.search(place / "vectors", k=3, **asked)
        assert [hit["id"] for hit in here.hits] == [hit["id"] for hit in there.hits]
        assert [hit["score"] for hit in here.hits] == pytest.approx([hit["score"] for hit in there.hits], abs=1e-5)
        assert here.hits == () or {"text", "label"} <= set(here.hits[0])


def test_pictures_by_words_and_by_a_picture(client: httpx.Client, place: Path) -> None:
    data = base64.b64encode((place / "photos" / "2.png").read_bytes()).decode()
    assert found(client, folder="pictures", query=f"data:image/png;base64,{data}", k=1).hits[0]["id"] == "2.png"
    words = ct.search(place / "pictures", text="a red cat", k=4)
    assert [hit["id"] for hit in found(client, folder="pictures", query="a red cat", k=4).hits] == [
        hit["id"] for hit in words.hits
    ]


def test_folders_are_listed(client: httpx.Client) -> None:
    listed = {entry["id"]: entry for entry in client.get("/v1/folders").json()["data"]}
    assert (listed["vectors"]["rows"], listed["vectors"]["model"]) == (5, "texts")
    assert listed["pictures"]["modalities"] == ["image", "text"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "one of 'query' and 'id'"),
        ({"query": "x", "id": "t1"}, 400, "one of 'query' and 'id'"),
        ({"query": " "}, 400, "query is empty"),
        ({"query": 5}, 400, "query must be a text"),
        ({"query": ["a", "b"]}, 400, "query must be"),
        ({"query": "x", "k": 0}, 400, "k must be"),
        ({"query": "x", "k": True}, 400, "k must be"),
        ({"query": "x", "k": 10**9}, 400, "k must be"),
        ({"query": "x", "above": "much"}, 400, "above must be"),
        ({"query": "x", "above": 10**400}, 400, "above must be"),
        ({"query": "x", "where": "label = 1 or"}, 400, "where"),
        ({"query": "x", "where": "'; drop table vectors; --"}, 400, "where"),
        ({"query": "x", "where": "(" * 3000}, 400, "where"),
        ({"query": "x", "where": "nothing = 1"}, 400, "nothing"),
        ({"query": "x", "limit": 3}, 400, "'limit' is not known"),
        ({"query": "x", "prompt_name": "passage"}, 400, "passage"),
        ({"id": "nobody"}, 400, "nobody"),
        ({"query": "data:image/png;base64,AAAA"}, 400, "searched by text"),
        ({"query": "x", "folder": "elsewhere"}, 404, "there is no folder 'elsewhere'"),
    ],
)
def test_what_is_refused(client: httpx.Client, body: dict, status: int, says: str) -> None:
    answer = client.post("/v1/search", json={"folder": "vectors", **body})
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]["message"]
    assert "--" not in answer.json()["error"]["message"].replace("drop table vectors; --", "")


def test_a_folder_of_another_space_is_refused_at_the_start(place: Path) -> None:
    with pytest.raises(OptionError, match="another space"):
        ct.service(place / "both", folder=place / "vectors")
    with pytest.raises(OptionError, match="give a `model`"):
        ct.service()


def test_the_folder_brings_its_model_and_is_read_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKS", 0.0)
    (place / "more.txt").write_text("\n".join(TEXTS))
    ct.embed(place / "texts", place / "more.txt", place / "growing")
    running = RunningService(ct.service(folder=place / "growing"))
    try:
        with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as client:
            assert found(client, query="the cat").rows == 5
            (place / "more.txt").write_text("\n".join([*TEXTS, "one more cat"]))
            ct.embed(place / "texts", place / "more.txt", place / "growing", update=True)
            assert found(client, query="one more cat", k=1).hits[0]["text"] == "one more cat"
            assert client.post("/v1/embeddings", json={"input": "cat"}).status_code == 200
    finally:
        running.stop()


def test_a_folder_that_has_changed_since_it_was_looked_at_is_read_anew(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is carried lies in its files, which are others by now."""
    monkeypatch.setattr(module, "LOOKS", 1000.0)
    (tmp_path / "some.txt").write_text("\n".join(TEXTS))
    ct.embed(place / "texts", tmp_path / "some.txt", tmp_path / "growing")
    running = RunningService(ct.service(folder=tmp_path / "growing"))
    try:
        with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as client:
            (tmp_path / "some.txt").write_text("\n".join([*TEXTS, "one more cat"]))
            ct.embed(place / "texts", tmp_path / "some.txt", tmp_path / "growing", update=True)
            assert found(client, query="one more cat", k=1).hits[0]["text"] == "one more cat"
    finally:
        running.stop()


def test_a_folder_that_has_come_to_lie_in_another_space_is_refused(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKS", 0.0)
    ct.embed(place / "texts", place / "texts.csv", tmp_path / "vectors", pooling="cls")
    running = RunningService(ct.service(place / "texts", folder=tmp_path / "vectors", pooling="cls"))
    try:
        with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as client:
            assert found(client, query="a cat").rows == 5
            ct.embed(place / "texts", place / "texts.csv", tmp_path / "vectors", pooling="mean", overwrite=True)
            answer = client.post("/v1/search", json={"query": "a cat"})
            assert answer.status_code == 409
            assert "another space" in answer.json()["error"]["message"]
    finally:
        running.stop()


def test_a_picture_that_is_none_is_named(client: httpx.Client) -> None:
    buffer = io.BytesIO(b"no picture")
    data = base64.b64encode(buffer.getvalue()).decode()
    answer = client.post("/v1/search", json={"folder": "pictures", "query": f"data:image/png;base64,{data}"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "query"


@pytest.mark.parametrize("column", ["cls", "mean"])
def test_a_column_is_chosen_where_a_folder_holds_several(column: str, place: Path, tmp_path: Path) -> None:
    """Without a model the one that made the folder is loaded, and reads out that column."""
    ct.embed(place / "texts", place / "texts.csv", tmp_path / "several", pooling="cls,mean")
    with pytest.raises(OptionError, match="holds several vectors, cls, mean; name one as `column`"):
        ct.service(folder=tmp_path / "several")
    with pytest.raises(OptionError, match="max"):
        ct.service(folder=tmp_path / "several", column="max")
    running = RunningService(ct.service(folder=tmp_path / "several", column=column))
    try:
        with httpx.Client(base_url=running.url, timeout=30, trust_env=False) as client:
            here = found(client, query="a red cat", k=3)
            there = ct.search(tmp_path / "several", "a red cat", k=3, column=column)
            assert [hit["id"] for hit in here.hits] == [hit["id"] for hit in there.hits]
            assert [hit["score"] for hit in here.hits] == pytest.approx([hit["score"] for hit in there.hits], abs=1e-5)
    finally:
        running.stop()
