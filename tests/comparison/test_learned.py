"""What is trained for a comparison."""

import numpy as np
import pytest

from classtoken.comparison.learned import RATES, Learner, TokenSet, Trainings
from classtoken.comparison.multilabel import MultiLabel
from classtoken.comparison.task import Choices
from classtoken.pooling.spec import parse
from classtoken.values import Record, Role

N, TOKENS, SIZE, LABELS = 300, 6, 48, 16


class Sized:
    """Of an encoder, what a pooling is made from."""

    hidden_size, depth = SIZE, 1


def rare_labels() -> tuple[MultiLabel, TokenSet]:
    """Records with one or two of sixteen labels, each seen in one of six tokens, in noise."""
    generator = np.random.default_rng(0)
    states = generator.normal(size=(N, TOKENS, SIZE)).astype(np.float32)
    seen = generator.normal(size=(LABELS, SIZE)).astype(np.float32) * 2
    records = []
    for row in range(N):
        labels = generator.choice(LABELS, generator.integers(1, 3), replace=False)
        for label, token in zip(labels, generator.choice(TOKENS, len(labels), replace=False), strict=True):
            states[row, token] += seen[label]
        records.append(Record(f"r{row}", text=f"text {row}", label=tuple(f"l{label}" for label in sorted(labels))))
    task = MultiLabel(records, None, Choices(folds=2, seeds=1))
    roles = np.full((N, TOKENS), Role.CONTENT, np.int8)
    return task, TokenSet(states, roles, frozenset({Role.CONTENT}), None, Sized())


@pytest.mark.parametrize("spec", ["queries(4)", "mean"])
def test_what_learns_with_small_steps_expects_rare_labels_as_often_as_they_are(spec: str) -> None:
    """From biases of 0 the hundred steps say "less often" of every label, and little else (mean probability 0.4)."""
    task, tokens = rare_labels()
    rows = np.arange(N)
    run = Trainings(Learner(parse(spec)), tokens.standardised(rows), task, task.targets)
    logits = run.logits(run.trained(rows, RATES[0], seed=0), rows)
    assert (1 / (1 + np.exp(-logits))).mean(0) == pytest.approx(task.targets.mean(0), rel=0.5)


def test_padding_has_no_part_in_what_states_are_standardised_by() -> None:
    task, tokens = rare_labels()
    roles = tokens.roles.copy()
    roles[:, -2:] = Role.PAD
    states = tokens.states.copy()
    states[:, -2:] = 1e6
    moved = TokenSet(states, roles, tokens.over, None, tokens.encoder).standardised(np.arange(100))
    kept = moved.states[:100, :-2].reshape(-1, SIZE)
    assert np.abs(kept.mean(0)).max() < 1e-5
    assert kept.std(0) == pytest.approx(1, abs=1e-4)
    assert len(task.records) == N
