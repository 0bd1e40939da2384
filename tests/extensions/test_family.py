"""A family from outside: no file of the package is touched, and everything that takes a MODEL takes it."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.extensions.conftest import Install
from tests.folders import pictures, tiny_vit

import classtoken as ct
from classtoken.errors import ExtensionError, UnsupportedModel

#: ViT's weights under names of its own, pooled by the mean, prepared by a processor that nobody else has.
SOURCE = '''
from dataclasses import replace

from classtoken.encoder.families.row import AuthorsReadout, complete
from classtoken.encoder.families.vit import VIT, vit_shape
from classtoken.encoder.names import Rename
from classtoken.values import InputDefaults


def readout(config):
    """The mean of the patches."""
    return AuthorsReadout(spec="mean", reason="the paper pools so", source="Somebody 2031", alternatives={})


MINE = replace(
    VIT,
    name="mine",
    types=("my_encoder",),
    names=tuple(replace(rule, theirs="trunk." + rule.theirs) for rule in VIT.names),
    shape=lambda config: vit_shape(complete(config, {"hidden_act": "gelu"})),
    prefixes=(),
    readout=readout,
    inputs=InputDefaults(
        image={
            "image_processor_type": "MyImageProcessor",
            "do_resize": True,
            "size": {"height": 32, "width": 32},
            "do_normalize": True,
            "image_mean": 0.5,
            "image_std": 0.5,
        }
    ),
    paper="Somebody 2031",
)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny ViT whose files say that it is something else."""
    from safetensors.torch import load_file, save_file

    made = tiny_vit(tmp_path / "mine", pooler=False)
    weights = load_file(made / "model.safetensors")
    save_file({"trunk." + name: value for name, value in weights.items()}, made / "model.safetensors")
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps({**config, "model_type": "my_encoder"}))
    for name in ("preprocessor_config.json", "processor_config.json"):
        (made / name).unlink(missing_ok=True)
    return made


def test_a_family_of_another_package_is_loaded_by_its_model_type(
    folder: Path, tmp_path: Path, install: Install
) -> None:
    with pytest.raises(UnsupportedModel, match="my_encoder"):
        ct.load(folder)
    install("my_families", SOURCE, {"families": "mine = my_families:MINE"})
    embedder = ct.load(folder)
    assert embedder.contract.pooling == "mean"
    vectors = embedder.embed(pictures())
    same = ct.load(tiny_vit(tmp_path / "vit", pooler=False)).embed(pictures(), pooling="mean")
    assert isinstance(vectors, np.ndarray)
    np.testing.assert_array_equal(vectors, same)
    assert "mine" in str(ct.inspect(folder))


def test_a_family_that_cannot_be_loaded_is_named(folder: Path, install: Install) -> None:
    install("broken_families", "raise ValueError('half written')", {"families": "broken = broken_families:ROW"})
    with pytest.raises(ExtensionError, match=r"'broken' \(broken_families:ROW\).*ValueError: half written"):
        ct.load(folder)


def test_what_is_no_family_is_refused(folder: Path, install: Install) -> None:
    install("odd_families", "ROW = 3", {"families": "odd = odd_families:ROW"})
    with pytest.raises(ExtensionError, match="is of type int, not Family"):
        ct.load(folder)
