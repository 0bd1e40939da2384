"""Every key of every family's config: read, known to move nothing (shown here by moving it), or named."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.encoder.cases import CASES
from tests.encoder.parity import TOLERANCE, Case, relative, set_up

from classtoken.contract.harmless import is_harmless
from classtoken.contract.model import read_model
from classtoken.contract.unread import unread
from classtoken.model_folder import passed_over, watching
from classtoken.values import Role

#: Every so many cases are looked at in each run of the tests; all of them by `make soak`.
EVERY = 9
#: What says which class is built is moved by no test of numbers.
NAMES = ("architectures", "model_type", "transformers_version", "dtype")
#: Not tried: the reference builds nothing with another value, or drops patches at random where we drop none.
FIXED = (
    *("add_cross_attention", "add_fpn", "pad_vocab_size_multiple", "mask_ratio", "pooler_output_size"),
    *("projection_dim", "decoder_hidden_size"),
)


def moved(value: Any) -> Any:
    """Another value of the same type, or the same one where there is none to think of."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else min(value + 0.25, 0.9) if isinstance(value, float) else value


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, id=c.name, marks=[] if i % EVERY == 0 else [pytest.mark.soak]) for i, c in enumerate(CASES)],
)
def test_keys_of_a_config_are_read_harmless_or_named(case: Case, tmp_path: Path) -> None:
    bench = set_up(case, tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"a_key_of_tomorrow": 1}))
    with watching() as opened:
        readings = read_model(tmp_path)
    more = frozenset(key for reading in readings if reading.family for key in reading.family.harmless)
    assert [one.key for one in unread(tmp_path, opened, more)] == ["a_key_of_tomorrow"]
    if case.respell is not None:
        return  # the reference's own spelling of the same keys is tried in other cases
    config = json.loads(path.read_text())
    tried = []
    for key, value in passed_over(opened[path]):
        if "." not in key and is_harmless(key, "encoder", more) and key not in NAMES + FIXED and moved(value) != value:
            config[key] = moved(value)
            tried.append(key)
    path.write_text(json.dumps(config))
    # The case's own class, as AutoModel builds another one of a T5 encoder, and none of SigLIP's text side. A head of
    # another size is drawn anew: it is outside the states.
    model = type(case.build()).from_pretrained(tmp_path, ignore_mismatched_sizes=True).eval()
    with torch.no_grad():
        again = case.tower(model)(**bench.inputs.reference).last_hidden_state
    kept_BL = bench.inputs.tokens.roles_BL != Role.PAD  # the state of a padding token is of nothing, and differs
    assert relative(bench.last_BLD, again, kept_BL) < TOLERANCE, f"one of {tried} moves the states of {case.name}"


def test_what_is_handed_to_a_tokenizer_is_never_harmless() -> None:
    """`language` moves nothing in a config, and the tokens around a text where open_clip hands it to NLLB's class."""
    assert is_harmless("language", "encoder")
    assert is_harmless("model_cfg.text_cfg.language", "encoder")
    assert not is_harmless("model_cfg.text_cfg.tokenizer_kwargs.language", "encoder")
