"""One test over the table: every family gives its reference's numbers, and its names go back to the reference's.

For each row: a tiny random checkpoint written by the reference's own `save_pretrained`, read by us. Token states,
hidden states, pooled output and logits; padded on either side, packed, traced, and the last block for some roles only.
"""

import importlib
import pkgutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.encoder.cases import CASES
from tests.encoder.parity import TOLERANCE, Case, errors, load, names_that_do_not_come_back, randomise, set_up

from classtoken.encoder import families
from classtoken.encoder.families import FAMILIES
from classtoken.encoder.families.row import Family
from classtoken.encoder.families.table import DIALECTS


def _table() -> list[object]:
    """Every family with each of its cases; a family without a case stands here with None."""
    rows: list[object] = []
    for family in FAMILIES:
        cases = [case for case in CASES if case.family == family.name]
        rows += [pytest.param(family, case, id=case.name) for case in cases]
        if not cases:
            rows.append(pytest.param(family, None, id=f"{family.name} has no case"))
    return rows


@pytest.mark.parametrize(("family", "case"), _table())
def test_parity(family: Family, case: Case | None, tmp_path: Path) -> None:
    assert case is not None, f"family {family.name} has no case in tests/encoder/cases.py: nothing proves it"
    bench = set_up(case, tmp_path)
    found = errors(bench)
    assert "states" in found
    too_far = {name: error for name, error in found.items() if not error < TOLERANCE}
    assert not too_far, f"{case.name}: {too_far}"
    assert names_that_do_not_come_back(bench) == []


@pytest.mark.parametrize("case", [case for case in CASES if case.respell is None], ids=lambda case: case.name)
def test_a_file_of_the_models_bare_state_is_read_too(case: Case, tmp_path: Path) -> None:
    """transformers 5 calls modules of image models otherwise than the files that it writes."""
    bench = set_up(case, tmp_path)
    wanted = load(bench)[0].encoder.state_dict()
    torch.manual_seed(0)
    model = case.build()
    randomise(model)
    state = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    found = load(bench)[0].encoder.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_every_row_is_in_the_table() -> None:
    written = {}
    for module in pkgutil.iter_modules(families.__path__):
        for name, value in vars(importlib.import_module(f"{families.__name__}.{module.name}")).items():
            if isinstance(value, Family):
                written[id(value)] = f"{module.name}.{name}"
    known = {id(family) for family in FAMILIES + DIALECTS}
    assert [name for key, name in written.items() if key not in known] == []


def test_names_and_types_are_told_apart() -> None:
    names = [family.name for family in FAMILIES]
    types = [kind for family in FAMILIES for kind in family.types]
    assert len(set(names)) == len(names)
    assert len(set(types)) == len(types)
    assert {case.family for case in CASES} <= set(names)
    assert len({case.name for case in CASES}) == len(CASES)
