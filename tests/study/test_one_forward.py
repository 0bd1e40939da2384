"""One undisturbed forward an explanation: everything that is shown of an input is read from it."""

from collections import Counter

import pytest
from tests import folders

from classtoken.embedder import Embedder, load
from classtoken.jobs.explain import explain
from classtoken.options import ExplainOptions
from classtoken.probe.capture import Chain, Keep, Leaf
from classtoken.tensors import Tokens, Trace


class Counted:
    """Counts the undisturbed forwards of an encoder by what was put in: those whose trace, if any, only looks."""

    def __init__(self, embedder: Embedder, monkeypatch: pytest.MonkeyPatch):
        self.seen: Counter[bytes] = Counter()
        encoder = embedder.encoder
        forward = encoder.forward

        def counting(tokens: Tokens, *, trace: Trace | None = None, **options: object) -> object:
            if only_looks(trace):
                for row in tokens.ids_BL if tokens.ids_BL is not None else tokens.pixels:  # type: ignore[union-attr]
                    self.seen[row.numpy().tobytes()] += 1
            return forward(tokens, trace=trace, **options)

        monkeypatch.setattr(encoder, "forward", counting)


def only_looks(trace: Trace | None) -> bool:
    parts = trace.traces if isinstance(trace, Chain) else (trace,)
    return all(part is None or type(part) in (Keep, Leaf) for part in parts)


@pytest.fixture(scope="module", params=["image", "text", "vector"])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Embedder, object, object]:
    folder = tmp_path_factory.mktemp("model")
    if request.param == "image":
        return load(folders.tiny_vit(folder, head=True)), *folders.pictures(2)
    model = folders.tiny_bert(folder, head=True) if request.param == "text" else folders.sentence_transformer(folder)
    return load(model), folders.SENTENCES[2], folders.SENTENCES[1]


def test_a_quick_explanation_is_one_undisturbed_forward(
    bench: tuple[Embedder, object, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder, item, _ = bench
    counted = Counted(embedder, monkeypatch)
    explain(embedder, item, None, ExplainOptions(quick=True))
    assert list(counted.seen.values()) == [1]


def test_with_all_maps_and_a_donor_no_undisturbed_forward_is_run_twice(
    bench: tuple[Embedder, object, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder, item, donor = bench
    counted = Counted(embedder, monkeypatch)
    found = explain(embedder, item, None, ExplainOptions(donors=(donor,)))
    assert {"integrated", "occlusion", "chefer"} <= {m.name for m in found.maps if m.scores}
    assert found.swaps
    assert len(counted.seen) == 3  # the input, the donor, the baseline of integrated gradients
    assert set(counted.seen.values()) == {1}


def test_a_forward_that_changes_something_is_not_undisturbed() -> None:
    from classtoken.probe.interventions import cut_heads

    assert only_looks(None)
    assert only_looks(Chain(Leaf(), Keep({})))
    assert not only_looks(cut_heads([0], 1, "zero"))
    assert not only_looks(Chain(Keep({}), cut_heads([0], 1, "zero")))
