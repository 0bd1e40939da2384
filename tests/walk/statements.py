"""What must hold between the fields of one example of a page, with what the page holds and nothing else (web/DATA.md).

Each statement takes the page and one of its examples; `test_arithmetic.py` holds every one of them against every model.
"""

from collections.abc import Callable

import numpy as np

from classtoken.page.card import NormWeights
from classtoken.page.document import Walkthrough
from classtoken.page.example import Example
from classtoken.walk.rows import LEAST_KEPT

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
Statement = Callable[[Walkthrough, Example], None]


def _softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _norm(x: np.ndarray, p: NormWeights) -> np.ndarray:
    """LayerNorm or RMSNorm, by its formula."""
    centred = x - x.mean(-1, keepdims=True) if p.kind == "layer" else x
    bias = 0 if p.bias is None else p.bias
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + p.eps) * p.weight + bias


def _kept(e: Example, rows: np.ndarray) -> np.ndarray:
    """Of rows over all tokens, (N, H, L), those of the tokens whose keys and values the page holds."""
    return rows if e.layers.kept is None else np.take_along_axis(rows, e.layers.kept, axis=-1)


def _entering(e: Example) -> np.ndarray:
    """What enters layer 0 (L, D)."""
    summed = e.embeddings.before + (0 if e.embeddings.position is None else e.embeddings.position)
    return summed if e.embeddings.after is None else e.embeddings.after


def has_class_token(e: Example) -> bool:
    return any(token.role == "class" for token in e.tokens)


def a_class_token_is_watched_where_there_is_one(_: Walkthrough, e: Example) -> None:
    assert e.watched is not None
    assert (e.tokens[e.watched].role == "class") == has_class_token(e)
    if not has_class_token(e):  # then one that the vector is read from
        assert e.pooled is not None
        assert e.pooled.weights[e.watched] > 0
        assert e.two is e.causal is None


def what_is_pooled_adds_up(page: Walkthrough, e: Example) -> None:
    """The sum, or the largest numbers, of the states that the page holds, and with them the vector."""
    pooled = e.pooled
    if page.model.readout.reads_class_token:
        assert pooled is None
    if pooled is None:
        return
    np.testing.assert_allclose(pooled.weights.sum(), 1, atol=1e-5)
    if pooled.queries is not None:
        np.testing.assert_allclose(pooled.queries.sum(-1), 1, atol=1e-5)
        np.testing.assert_allclose(pooled.queries.mean(0), pooled.weights, atol=1e-6)
        return
    assert pooled.states is not None
    read = pooled.states[pooled.weights > 0]
    found = pooled.weights @ pooled.states if pooled.kind == "sum" else read.max(0)
    np.testing.assert_allclose(found, pooled.pooled, **CLOSE)
    np.testing.assert_allclose(found, e.vector, **CLOSE)
    np.testing.assert_allclose(pooled.states[e.watched], e.final, **CLOSE)


def a_token_that_is_not_read_is_not_missed(_: Walkthrough, e: Example) -> None:
    if e.pooled is not None and e.pooled.without is not None:
        np.testing.assert_allclose(e.pooled.without[e.pooled.weights == 0], 1, atol=1e-5)
        assert (e.pooled.without[e.pooled.weights > 0] < 1 - 1e-9).any()


def weights_are_the_softmax_of_scores(_: Walkthrough, e: Example) -> None:
    np.testing.assert_allclose(e.layers.weights, _softmax(e.layers.scores), **CLOSE)
    np.testing.assert_allclose(e.layers.weights.sum(-1), 1, atol=1e-5)


def scores_are_queries_times_keys(page: Walkthrough, e: Example) -> None:
    assert e.layers.keys is not None
    scores = np.einsum("nhk,nhtk->nht", e.layers.queries, e.layers.keys) * page.model.score_scale
    added = _kept(e, e.layers.scores) - scores
    if page.model.position.kind == "bias":  # a number of a head for the distance, the same in every layer or not
        assert np.abs(added).max() > 1e-3
    else:
        np.testing.assert_allclose(added, 0, atol=2e-4)


def context_is_the_weighted_sum_of_values(_: Walkthrough, e: Example) -> None:
    """Of all tokens; of those whose values the page holds, what is left is no longer than the weight that is left."""
    assert e.layers.values is not None
    assert e.layers.context is not None
    weights = _kept(e, e.layers.weights)
    rest = e.layers.context - np.einsum("nht,nhtk->nhk", weights, e.layers.values)
    longest = 10 * np.linalg.norm(e.layers.values, axis=-1).max(-1)
    assert (np.linalg.norm(rest, axis=-1) <= (1 - weights.sum(-1)) * longest + 1e-4).all()


def what_is_read_most_has_its_keys_and_values(_: Walkthrough, e: Example) -> None:
    if e.layers.kept is not None:
        least = _kept(e, e.layers.weights).copy()
        others = e.layers.weights.copy()
        np.put_along_axis(others, e.layers.kept, 0, axis=-1)
        least[e.layers.kept == e.watched] = 1
        assert (least.min(-1) >= others.max(-1)).all()
        assert (np.diff(e.layers.kept, axis=-1) > 0).all()
        assert (e.layers.kept == e.watched).any(-1).all()
        assert e.layers.kept.shape[-1] >= LEAST_KEPT


def a_whole_matrix_holds_the_class_tokens_row_and_column(_: Walkthrough, e: Example) -> None:
    if e.matrices is not None:
        assert e.watched is not None
        whole = e.matrices.astype(np.float32)
        np.testing.assert_allclose(whole.sum(-1), 1, atol=4e-3)
        np.testing.assert_allclose(whole[:, :, e.watched], e.layers.weights, atol=1e-3)
        np.testing.assert_allclose(whole[..., e.watched], e.layers.back, atol=1e-3)


def attention_is_the_sum_of_heads(page: Walkthrough, e: Example) -> None:
    bias = page.model.shared.attention_bias
    np.testing.assert_allclose(e.layers.attention, e.layers.heads.sum(1) + (0 if bias is None else bias), **CLOSE)


def each_layer_adds_attention_then_feedforward(page: Walkthrough, e: Example) -> None:
    layers, norms = e.layers, page.model.shared.norms
    for i in range(page.model.depth):
        first, second = layers.states[i] + layers.attention[i], layers.middle[i] + layers.feedforward[i]
        if norms is not None:
            first, second = _norm(first, norms[i].first), _norm(second, norms[i].second)
        np.testing.assert_allclose(layers.middle[i], first, **CLOSE)
        np.testing.assert_allclose(layers.states[i + 1], second, **CLOSE)


def embeddings_and_positions_enter_the_first_layer(page: Walkthrough, e: Example) -> None:
    embeddings = e.embeddings
    if embeddings.after is not None and embeddings.position is not None:
        assert page.model.shared.embedding_norm is not None
        summed = embeddings.before + embeddings.position
        np.testing.assert_allclose(embeddings.after, _norm(summed, page.model.shared.embedding_norm), **CLOSE)
    assert e.watched is not None
    np.testing.assert_allclose(_entering(e)[e.watched], e.layers.states[0], **CLOSE)


def the_final_state_is_the_normed_last_one(page: Walkthrough, e: Example) -> None:
    if page.model.shared.final_norm is not None:
        np.testing.assert_allclose(e.final, _norm(e.layers.states[-1], page.model.shared.final_norm), **CLOSE)


def probabilities_are_the_softmax_of_logits(page: Walkthrough, e: Example) -> None:
    if e.answers.all_logits is not None and page.model.outcome == "probability":
        rows = [label.index for label in e.answers.labels]
        np.testing.assert_allclose(e.answers.values, _softmax(e.answers.all_logits)[rows], **CLOSE)


def logits_are_the_classifier_on_the_vector(page: Walkthrough, e: Example) -> None:
    """The rows that travel with the model are those of the first example's answers."""
    head, first = page.model.shared.head, page.examples[0].answers.labels
    if head is not None and e.answers.logits is not None and e.answers.labels == first:
        width = head.weight.shape[1]
        starts = head.starts or (0,) * len(head.weight)
        logits = [float(row @ e.vector[at : at + width]) for row, at in zip(head.weight, starts, strict=True)]
        bias = np.zeros(len(logits)) if head.bias is None else head.bias
        np.testing.assert_allclose(e.answers.logits, np.array(logits) + bias, rtol=1e-3, atol=1e-3)


def the_lens_ends_in_the_answer(_: Walkthrough, e: Example) -> None:
    assert e.lens is not None
    np.testing.assert_allclose(e.lens.values[-1], e.answers.values, atol=1e-5)


def every_input_has_the_same_class_token(_: Walkthrough, e: Example) -> None:
    assert e.contrast is not None
    if has_class_token(e):
        np.testing.assert_array_equal(e.embeddings.before[e.watched], e.contrast.class_token)


def other_inputs_have_other_patches(_: Walkthrough, e: Example) -> None:
    assert e.contrast is not None
    mine = [t for t, token in enumerate(e.tokens) if token.role == "content"]
    theirs = [t for t, token in enumerate(e.contrast.tokens) if token.role == "content"]
    both = min(len(mine), len(theirs))
    before = e.contrast.before[theirs[:both]].astype(np.float32)
    assert np.abs(e.embeddings.before[mine[:both]] - before).max() > 0.05


def swaps_end_in_the_donors_answer(page: Walkthrough, e: Example) -> None:
    """Where the answer is read from this class token alone, the donor's final state gives the donor's answer."""
    if not e.swaps:
        assert not has_class_token(e)
        return
    if page.model.readout.reads_class_token or page.model.readout.pooling == "last":
        np.testing.assert_allclose(e.swaps[0].values[-1], e.swaps[0].donor_values, atol=1e-5)
    if has_class_token(e):  # which begins alike in all inputs
        np.testing.assert_allclose(e.swaps[0].values[0], e.answers.values, atol=1e-5)


def a_race_of_poolings_has_the_models_own_in_it(page: Walkthrough, e: Example) -> None:
    """Six of them (five without a class token), one the model's own; what each token gives sums to one."""
    lanes = {lane.name: lane for lane in e.race}
    own = ["cls", "mean", "max", "attention"] if has_class_token(e) else ["last", "mean", "max"]
    assert list(lanes) in ([], [*own, "learned", "all"])
    for lane in lanes.values():
        if lane.weights is not None:
            np.testing.assert_allclose(lane.weights.sum(), 1, atol=1e-5)
            assert (lane.weights >= 0).all()
        if lane.own:
            np.testing.assert_allclose(lane.values, e.answers.values, **CLOSE)
            np.testing.assert_allclose(lane.cosine, 1, atol=1e-5)
        if lane.values is not None and page.model.outcome == "probability" and len(lane.values) == page.model.classes:
            np.testing.assert_allclose(lane.values.sum(), 1, atol=1e-5)
    assert not lanes or sum(lane.own for lane in lanes.values()) == 1
    assert bool(lanes) == bool(e.poolings)


def other_class_tokens_have_rows_of_their_own(_: Walkthrough, e: Example) -> None:
    for other in e.others:
        np.testing.assert_allclose(other.layers.weights, _softmax(other.layers.scores), **CLOSE)
        np.testing.assert_allclose(other.layers.states[0], _entering(e)[other.position], atol=1e-5)
        assert other.layers.keys is None  # those of all tokens stand in the example
        assert not np.allclose(other.layers.states[-1], e.layers.states[-1])


STATEMENTS: list[Statement] = [
    value
    for name, value in list(globals().items())
    if getattr(value, "__module__", None) == __name__ and not name.startswith(("_", "has_"))
]
"""every statement of this file"""
