"""Noise is fed to every sentence that judges, and silence is expected; what is there is said."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from classtoken.maps.table import METHODS
from classtoken.results.explain import UnseenTokens
from classtoken.study.artefacts import outliers, sinks
from classtoken.study.ranking import _adjusted, _ranked
from classtoken.study.unseen import unseen
from classtoken.values import Role

RUNS = 400


def looked(weights: torch.Tensor, effects: torch.Tensor, outcome: float = 1.0) -> UnseenTokens:
    roles = torch.full((len(weights),), int(Role.CONTENT))
    return unseen(weights, effects, roles, outcome=outcome)


@pytest.mark.parametrize("tokens", [6, 20, 196])
def test_weights_and_effects_that_have_nothing_to_do_with_each_other_name_no_token(tokens: int) -> None:
    generator = torch.Generator().manual_seed(tokens)
    wrong = sum(any(looked(*torch.rand(2, tokens, generator=generator).unbind()).tells) for _ in range(RUNS))
    assert wrong <= binom.ppf(0.999, RUNS, 0.05)


def test_what_was_looked_at_for_nothing_and_used_unseen_is_named() -> None:
    weights = torch.linspace(0.0, 1.0, 100)
    against = looked(weights, 1 - weights)
    assert against.tells == (True, True)
    assert against.expected == (12.5, 6.25)
    assert len(against.attended_unused) == 25
    assert looked(weights, weights).tells == (False, False)


def test_where_attention_is_even_places_in_the_input_name_no_token() -> None:
    """Ties by position would make the first tokens of a text the least attended, and its first words often matter."""
    for tokens in (20, 60, 196):
        falling, even = torch.linspace(1.0, 0.0, tokens), torch.full((tokens,), 0.5)
        for weights, effects in ((even, falling), (even, falling.flip(0)), (falling, even), (even, even)):
            assert looked(weights, effects).tells == (False, False)


def test_where_no_token_moves_the_outcome_none_is_named() -> None:
    """DeiT on a photograph: the largest effect was 0.014 of an outcome of 9."""
    weights = torch.linspace(0.0, 1.0, 196)
    found = looked(weights, (1 - weights) * 0.014, outcome=9.0)
    assert found.p_used < 1e-6
    assert found.tells == (False, False)


@pytest.mark.parametrize("tokens", [3, 4, 6, 10, 50])
@pytest.mark.parametrize("sharp", [0.0, 1.0, 3.0])
def test_attention_drawn_at_random_has_no_sink(tokens: int, sharp: float) -> None:
    """Of few tokens each gets a third of the weight, or by luck more; that is no sink."""
    generator = torch.Generator().manual_seed(tokens)
    weights = (sharp * torch.randn(100, 12, tokens, tokens, generator=generator)).softmax(-1)
    values = torch.randn(100, 12, tokens, 8, generator=generator)
    roles = torch.full((100, tokens), int(Role.CONTENT))
    heads = sinks(weights, values, roles).mask_BHL.any(-1)
    assert float(heads.double().mean()) <= (0.01 if sharp > 1 else 0.002)


def test_a_sink_is_found_among_few_and_many() -> None:
    for tokens in (8, 50, 197):
        generator = torch.Generator().manual_seed(tokens)
        scores = torch.randn(1, 1, tokens, tokens, generator=generator)
        scores[..., 0] += np.log(tokens) + 1.0
        found = sinks(scores.softmax(-1), torch.randn(1, 1, tokens, 8), torch.full((1, tokens), int(Role.CONTENT)))
        assert found.mask_BHL[0, 0].nonzero().flatten().tolist() == [0]


def test_norms_that_are_normal_have_no_outlier() -> None:
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(200, 196, 192, generator=generator)
    assert float(outliers(states, torch.full((200, 196), int(Role.CONTENT))).share_B.max()) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("inputs", [6, 12, 40])
def test_maps_as_good_as_random_scores_are_called_neither_better_nor_worse(inputs: int) -> None:
    """Eight maps beside random scores at once: in at most 5 % of all surveys is anything said of any of them."""
    generator, runs, wrong = np.random.default_rng(inputs), 100, 0
    chosen = [method for method in METHODS if method.name != "random"][:8]
    for _ in range(runs):
        numbers = {
            name: {"deletion": dict(enumerate(generator.normal(size=inputs)))}
            for name in ("random", *(method.name for method in chosen))
        }
        ranked = _adjusted(tuple(_ranked(method, numbers, 0) for method in chosen))
        wrong += any(score.beats_random is not None for one in ranked for score in one.scores)
    assert wrong <= binom.ppf(0.999, runs, 0.05)


def test_a_map_that_is_better_or_worse_is_called_so() -> None:
    generator = np.random.default_rng(0)
    better, worse = [method for method in METHODS if method.name != "random"][:2]
    draw = {name: generator.normal(size=24) for name in ("random", better.name, worse.name)}
    draw[better.name] -= 2.0
    draw[worse.name] += 2.0
    numbers = {name: {"deletion": dict(enumerate(values))} for name, values in draw.items()}
    ranked = _adjusted(tuple(_ranked(method, numbers, 0) for method in (better, worse)))
    assert [one.scores[0].beats_random for one in ranked] == [True, False]
