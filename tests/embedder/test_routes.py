"""Folders of sentence-transformers with routes for queries and documents: each text goes the way that it goes there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import folders
from tests.contract.test_sentence_transformers import assert_same, dense, other, pooling
from tests.folders import SENTENCES

import classtoken as ct
from classtoken.embedder import ModelSpec, load
from classtoken.embedder.routes import ROUTER
from classtoken.errors import ClasstokenError, ManifestMismatch, ModelError, OptionError, UnsupportedModel
from classtoken.mteb import MtebEncoder

pytest.importorskip("sentence_transformers")


def encoder(folder: Path) -> Any:
    from sentence_transformers.sentence_transformer.modules import Transformer

    return Transformer(str(folder))


def table(folder: Path) -> Any:
    from tokenizers import Tokenizer

    pieces = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return folders.randomise(other("StaticEmbedding", pieces, embedding_dim=32), 3)


def table_and_encoder(one: Path, two: Path) -> dict[str, list[Any]]:
    return {"query": [table(one)], "document": [encoder(two), pooling("mean"), folders.randomise(dense(32, 32), 5)]}


def two_encoders(one: Path, two: Path) -> dict[str, list[Any]]:
    return {"query": [encoder(one), pooling("cls")], "document": [folders.randomise(encoder(two), 9), pooling("max")]}


def one_encoder(one: Path, two: Path) -> dict[str, list[Any]]:
    shared = encoder(one)
    return {"query": [shared, pooling("cls")], "document": [shared, pooling("mean")]}


def routed(folder: Path, sub_modules: dict[str, list[Any]], router: dict[str, Any], **settings: Any) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

    chain = [Router(sub_modules, **router), other("Normalize")]
    model = SentenceTransformer(modules=chain, device="cpu", **settings)
    model.save(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("bases")
    return folders.tiny_bert(place / "one"), folders.tiny_bert(place / "two", pooler=False)


PROMPTS = {"query": "the red ", "document": "a cat: "}
SETTINGS: dict[str, dict[str, Any]] = {
    "no prompts": {},
    "prompts": {"prompts": PROMPTS},
    "a passage's prompt": {"prompts": {"query": "the red ", "passage": "a bird: "}},
    "a usual prompt": {"prompts": PROMPTS, "default_prompt_name": "query"},
    "cut": {"truncate_dim": 20},
}
ROUTED: dict[str, dict[str, Any]] = {
    "documents are usual": {"default_route": "document"},
    "the first is usual": {},
    "mapped": {"route_mappings": {("query", "text"): "document", ("document", None): "query"}},
    "mapped where none is named": {"route_mappings": {(None, None): "query", ("document", "text"): "document"}},
}


@pytest.mark.slow
@pytest.mark.parametrize("made", [table_and_encoder, two_encoders, one_encoder])
@pytest.mark.parametrize("settings", SETTINGS)
def test_texts_go_the_way_that_they_go_there(
    made: Callable[[Path, Path], dict[str, list[Any]]], settings: str, bases: tuple[Path, Path], tmp_path: Path
) -> None:
    check(routed(tmp_path / "model", made(*bases), ROUTED["documents are usual"], **SETTINGS[settings]))


@pytest.mark.slow
@pytest.mark.parametrize("how", ROUTED)
def test_routes_are_resolved_as_there(how: str, bases: tuple[Path, Path], tmp_path: Path) -> None:
    check(routed(tmp_path / "model", two_encoders(*bases), ROUTED[how], prompts=PROMPTS))


def check(folder: Path) -> None:
    """Vectors of both roles and of none beside the library's, and one space for all of them."""
    from sentence_transformers import SentenceTransformer

    there, here = SentenceTransformer(str(folder), device="cpu"), ct.load(folder)
    assert_same(here.embed(SENTENCES), np.asarray(there.encode(SENTENCES)))
    assert_same(here.embed(SENTENCES, prompt="query"), np.asarray(there.encode_query(SENTENCES)))
    assert_same(here.embed(SENTENCES, prompt="document"), np.asarray(there.encode_document(SENTENCES)))
    spaces = [here.fingerprint(prompt=name).spaces for name in (None, "query", "document")]
    assert len({space for one in spaces for space in one.values()}) == 1


def behind_the_encoder(folder: Path, base: Path, routes: tuple[str, ...], **settings: Any) -> Path:
    """One encoder for all texts and a matrix for each route: what Asym was made for."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

    ways = {name: [folders.randomise(dense(32, 16), place)] for place, name in enumerate(routes)}
    chain = [encoder(base), pooling("mean"), Router(ways), other("Normalize")]
    SentenceTransformer(modules=chain, device="cpu", **settings).save(str(folder), create_model_card=False)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_a_router_behind_the_encoder(settings: str, bases: tuple[Path, Path], tmp_path: Path) -> None:
    given = {**SETTINGS[settings], **({"truncate_dim": 10} if settings == "cut" else {})}
    check(behind_the_encoder(tmp_path / "model", bases[0], ("query", "document"), **given))


@pytest.mark.parametrize("usual", [None, "document"])
def test_a_route_may_add_nothing_behind_the_encoder(
    usual: str | None, bases: tuple[Path, Path], tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

    ways = {"query": [folders.randomise(dense(32, 32), 3)], "document": []}
    chain = [encoder(bases[0]), pooling("mean"), Router(ways, default_route=usual), other("Normalize")]
    SentenceTransformer(modules=chain, device="cpu").save(str(tmp_path / "model"), create_model_card=False)
    check(tmp_path / "model")


def test_routes_of_other_names_take_no_query_and_no_document(bases: tuple[Path, Path], tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    folder = behind_the_encoder(tmp_path / "model", bases[0], ("question", "answer"))
    there, here = SentenceTransformer(str(folder), device="cpu"), ct.load(folder)
    assert_same(here.embed(SENTENCES), np.asarray(there.encode(SENTENCES)))
    assert_same(here.embed(SENTENCES, prompt="answer"), np.asarray(there.encode(SENTENCES, task="answer")))
    with pytest.raises(ValueError, match="No route found"):
        there.encode_document(SENTENCES)
    with pytest.raises(OptionError, match=r"no prompt called 'document'; its prompts are 'question', 'answer'\."):
        here.embed(SENTENCES, prompt="document")


def test_a_route_without_a_prompt_has_the_usual_one(bases: tuple[Path, Path], tmp_path: Path) -> None:
    """Routes of queries and documents have an empty prompt where none is written."""
    from sentence_transformers import SentenceTransformer

    usual = {"prompts": {"note": "the red "}, "default_prompt_name": "note"}
    folder = behind_the_encoder(tmp_path, bases[0], ("query", "other"), **usual)
    model, embedder = SentenceTransformer(str(folder), device="cpu"), ct.load(folder)
    assert_same(embedder.embed(SENTENCES, prompt="other"), model.encode(SENTENCES, task="other"))
    assert_same(embedder.embed(SENTENCES, prompt="query"), model.encode_query(SENTENCES))
    assert np.abs(model.encode(SENTENCES, task="other") - model.encode(SENTENCES, task="other", prompt="")).max() > 1e-2


def test_a_route_for_texts_goes_before_the_default_one(bases: tuple[Path, Path], tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    routes = {"text": [encoder(bases[0]), pooling("cls")], "other": [encoder(bases[0]), pooling("max")]}
    folder = routed(tmp_path, routes, {"default_route": "other"})
    assert_same(ct.load(folder).embed(SENTENCES), SentenceTransformer(str(folder), device="cpu").encode(SENTENCES))


def test_a_second_router_is_refused(bases: tuple[Path, Path], tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

    two = [Router({"query": [dense(32, 16)], "document": [dense(32, 16)]}) for _ in range(2)]
    chain = [encoder(bases[0]), pooling("mean"), *two]
    SentenceTransformer(modules=chain, device="cpu").save(str(tmp_path / "model"), create_model_card=False)
    with pytest.raises(UnsupportedModel, match="lists the module 'Router': it is a second router"):
        ct.load(tmp_path / "model")


@pytest.fixture(scope="module")
def model(bases: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("routed") / "model"
    return routed(place, two_encoders(*bases), {"default_route": "document"}, prompts=PROMPTS)


def test_a_folder_of_documents_is_searched_by_the_route_of_queries(model: Path, tmp_path: Path) -> None:
    records = tmp_path / "texts.txt"
    records.write_text("\n".join(SENTENCES), encoding="utf-8")
    ct.embed(model, records, tmp_path / "out")
    here = ct.load(model)
    documents, query = here.embed(SENTENCES), here.embed("a red bird", prompt="query")[0]
    found = ct.search(tmp_path / "out", text="a red bird", k=len(SENTENCES))
    order = np.argsort(-(documents @ query))
    assert [hit["id"] for hit in found.hits] == [str(place) for place in order]
    assert found.hits[0]["score"] == pytest.approx(float(documents[order[0]] @ query), abs=1e-6)
    assert ct.verify(tmp_path / "out", model=model).ok


@pytest.mark.slow
def test_workers_and_later_runs_take_the_same_route(model: Path, tmp_path: Path) -> None:
    records = tmp_path / "texts.txt"
    records.write_text("\n".join(SENTENCES), encoding="utf-8")
    ct.embed(model, records, tmp_path / "out", prompt="query", part_rows=2, workers=2)
    wanted = ct.load(model).embed(SENTENCES, prompt="query")
    np.testing.assert_allclose(ct.read(tmp_path / "out").arrays["cls"], wanted, atol=1e-6)
    assert ct.verify(tmp_path / "out", model=model).ok
    with pytest.raises(ManifestMismatch, match="weights that differ"):
        ct.embed(model, records, tmp_path / "out", prompt="document", part_rows=2)


def test_one_route_by_itself(model: Path, tmp_path: Path) -> None:
    whole, query = ct.load(model), load(ModelSpec(str(model), route="query"))
    assert_same(query.embed(SENTENCES, prompt="query"), whole.embed(SENTENCES, prompt="query"))
    with pytest.raises(OptionError, match=r"the route 'query' of .* is loaded, not its 'document'"):
        query.embed(SENTENCES, prompt="document")
    saved = ct.load(query.save(tmp_path / "saved"))
    assert_same(saved.embed(SENTENCES, prompt="query"), whole.embed(SENTENCES, prompt="query"))
    with pytest.raises(OptionError, match="no route 'passage'; it has 'query', 'document'"):
        load(ModelSpec(str(model), route="passage"))
    with pytest.raises(OptionError, match="has no route 'query': it reads all texts in one way"):
        load(ModelSpec("builtin:sentiment", route="query"))
    with pytest.raises(OptionError, match="no prompt called 'passage'; its prompts are 'document', 'query'"):
        whole.embed(SENTENCES, prompt="passage")


def test_a_folder_holds_one_route_and_no_other_is_lost_in_silence(model: Path, tmp_path: Path) -> None:
    """What is saved or exported gave the vectors of the usual route alone, and nobody said so."""
    whole = ct.load(model)
    with pytest.raises(OptionError, match=r"Save each by itself: on_route\('query'\) or on_route\('document'\)"):
        whole.save(tmp_path / "all")
    assert not (tmp_path / "all").exists()
    saved = ct.load(whole.on_route("document").save(tmp_path / "documents"))
    assert_same(saved.embed(SENTENCES, prompt="document"), np.asarray(whole.embed(SENTENCES, prompt="document")))


def test_an_exported_route_is_named(model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("onnxruntime")
    ct.export(model, tmp_path / "documents")
    assert f"the graph is the route 'document' of {str(model)!r}" in caplog.text
    assert "for 'query': ct.export(ct.load(" in caplog.text
    caplog.clear()
    ct.export(ct.load(model).on_route("query"), tmp_path / "queries")
    assert not caplog.text


def test_another_pooling_is_read_of_each_route(model: Path) -> None:
    named = ct.load(model, pooling="mean")
    for name in ("query", "document"):
        wanted = ct.load(model).route(name).embed(SENTENCES, pooling="mean", prompt=name)
        assert_same(named.embed(SENTENCES, prompt=name), np.asarray(wanted))


def test_both_are_shown(model: Path) -> None:
    found = ct.inspect(model, verify=False)
    assert [(tower.route, tower.usual) for tower in found.towers] == [("query", False), ("document", True)]
    assert 'prompt="query"' in found.towers[0].python
    assert "--prompt document" in found.towers[1].command
    assert "route 'document', taken where none is named" in str(found)


def test_tasks_of_mteb_take_the_route_of_their_role(model: Path) -> None:
    from tests.test_mteb import PromptKind, TaskCard, batches

    for kind in PromptKind:
        found = MtebEncoder(model).encode(batches(SENTENCES), task_metadata=TaskCard(), prompt_type=kind)
        assert_same(found, np.asarray(ct.load(model).embed(SENTENCES, prompt=kind.value)))


def test_a_service_sends_texts_the_way_of_their_role(model: Path) -> None:
    from classtoken.serve.served import ServedItem, ServedModel

    served, here = ServedModel("texts", ct.load(model), most_pixels=1), ct.load(model)
    assert set(served.prompts) == {"query", "document"}
    assert len({served.fingerprint("text", name).hash() for name in ("query", "document")}) == 2
    for role in (None, "query", "document"):
        prompt = served.prompt_for(role, None)
        (share,), bad = served.prepare([ServedItem("text", text) for text in SENTENCES], prompt)
        found = dict(zip(share.places, served.vectors("text", share.prompt, share.rows), strict=True))
        assert not bad
        assert_same(np.stack([found[n] for n in range(len(SENTENCES))]), np.asarray(here.embed(SENTENCES, prompt=role)))


def test_without_a_usual_route_one_must_be_named(bases: tuple[Path, Path], tmp_path: Path) -> None:
    folder = routed(tmp_path / "model", two_encoders(*bases), {"allow_empty_key": False})
    with pytest.raises(OptionError, match="give a `prompt`: 'query' or 'document'"):
        ct.load(folder).embed(SENTENCES)
    assert ct.load(folder).embed(SENTENCES, prompt="query").shape == (len(SENTENCES), 32)


def changed(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    written = json.loads(path.read_text(encoding="utf-8"))
    change(written)
    path.write_text(json.dumps(written), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        (lambda w: w.update(structure={}), ModelError, "must list the modules of each route"),
        (lambda w: w["structure"].update(query=[]), ModelError, "a route without modules"),
        (lambda w: w["structure"].update(query=["../elsewhere"]), ModelError, "does not lie in the folder"),
        (lambda w: w["structure"].update(query=["nothing"]), ModelError, "does not lie in the folder"),
        (
            lambda w: w["types"].update(query_1_Pooling="other.Pooling"),
            ClasstokenError,
            "other.Pooling.*Pass `accept` 'type'",
        ),
        (lambda w: w["parameters"].update(route_mappings={"query": "query"}), ModelError, "no pair of task and kind"),
        (lambda w: w["parameters"].update(route_mappings={"('a', None)": "b"}), ModelError, r"route 'b'.*not there"),
        (lambda w: w["parameters"].update(default_route="b"), ModelError, r"maps to the route 'b'.*not there"),
        (lambda w: w["parameters"].update(route_mappings={"(None, 'image')": "query"}), UnsupportedModel, "'image'"),
        (lambda w: w["parameters"].update(temperature=2.0), ClasstokenError, r"router_temperature.*Pass `accept`"),
    ],
)
def test_a_router_that_cannot_be_followed_is_refused(
    change: Callable[[dict[str, Any]], Any], kind: type[Exception], says: str, model: Path, tmp_path: Path
) -> None:
    import shutil

    folder = Path(shutil.copytree(model, tmp_path / "model"))
    changed(folder / ROUTER, change)
    with pytest.raises(kind, match=says) as refusal:
        ct.load(folder).embed(SENTENCES, prompt="query")
    assert "\n" not in str(refusal.value)


def test_files_are_named_where_they_lie(model: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(model, tmp_path / "model"))
    (folder / "query_0_Transformer" / "config.json").unlink()
    with pytest.raises(ModelError, match=f"the route 'query': '{folder}/query_0_Transformer' holds no config.json"):
        ct.load(folder)
