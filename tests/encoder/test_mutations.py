"""The parity bench can fail: every deliberate mistake of the battery is noticed by it, and nothing else is.

Each case passes first as it is; then, with one mistake made, it must be far off, or the weights must not load.
"""

from collections.abc import Callable

import pytest
from tests.encoder.cases import CASES
from tests.encoder.mutations import MUTATIONS, Mutation
from tests.encoder.parity import TOLERANCE, Bench, errors, set_up

from classtoken.errors import WeightsError

#: A mistake must stand out from rounding, not only pass the tolerance by a hair.
FAR = 3 * TOLERANCE
PAIRS = [
    pytest.param(mutation, case, id=f"{mutation.name} ({case})") for mutation in MUTATIONS for case in mutation.cases
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bench]:
    """Benches by the name of their case, each set up once and proved to pass as it is."""
    made: dict[str, Bench] = {}

    def get(name: str) -> Bench:
        if name not in made:
            case = next(case for case in CASES if case.name == name)
            made[name] = set_up(case, tmp_path_factory.mktemp("bench"))
            assert max(errors(made[name]).values()) < TOLERANCE
        return made[name]

    return get


@pytest.mark.parametrize(("mutation", "case"), PAIRS)
def test_a_deliberate_mistake_is_caught(
    mutation: Mutation, case: str, bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = bench(case)
    mutation.make(monkeypatch)
    try:
        found = errors(reference)
    except WeightsError:
        return  # caught by the loader
    assert max(found.values()) > FAR, f"nobody notices: {mutation.name}, {found}"


def test_the_battery_names_every_mistake_once() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
    assert all(mutation.cases for mutation in MUTATIONS)
