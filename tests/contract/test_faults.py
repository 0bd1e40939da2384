"""Faults that gave a wrong vector without a word, each made again on purpose: the test of its kind notices it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tests import folders
from tests.contract import test_processors, test_reference, test_refuted
from tests.contract.test_mistakes import MISTAKES
from tests.encoder import test_adapter, test_foreign_meant, test_open_clip, test_timm
from tests.encoder.cases import CASES
from tests.encoder.test_foreign_meant import HIERA, written
from tests.tokens import test_text

import classtoken as ct
from classtoken.contract import model, reference
from classtoken.contract.model import read_model
from classtoken.embedder import loading
from classtoken.encoder import checkpoint, towers
from classtoken.encoder.checkpoint import open_checkpoint
from classtoken.encoder.families import open_clip, timm
from classtoken.encoder.foreign import files
from classtoken.encoder.foreign import model as foreign_model
from classtoken.encoder.foreign.files import load_foreign
from classtoken.encoder.foreign.model import Foreign
from classtoken.errors import WeightsError
from classtoken.tensors import States, Tokens
from classtoken.tokens import recipe_files, wordpieces

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Fault:
    """A fault, and the test that notices it, with what it is given besides the folder."""

    make: Callable[[Patch], None]
    test: Callable[..., None]
    given: dict[str, Any] = field(default_factory=dict)


def both(*faults: Callable[[Patch], None]) -> Callable[[Patch], None]:
    """Several faults at once, where one would be made up for."""

    def make(patch: Patch) -> None:
        for fault in faults:
            fault(patch)

    return make


def setting(place: Any, name: str, value: Any) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(place, name, value)


# -- the tests of kinds that have none elsewhere -----------------------------------------------------------------------


def a_random_expert_is_refused(tmp_path: Path) -> None:
    """An expert without weights that no random text of the loader's reaches."""
    sizes = {"d_model": 16, "d_kv": 4, "d_ff": 24, "num_heads": 4, "vocab_size": 60, "num_experts": 48}
    config = hf.SwitchTransformersConfig(**sizes, num_layers=1, num_sparse_encoder_layers=1, num_decoder_layers=1)
    torch.manual_seed(0)
    written(hf.SwitchTransformersEncoderModel(config), tmp_path)
    ((_, loaded),) = load_foreign(open_checkpoint(tmp_path))
    parameters = dict(loaded.encoder.model.named_parameters())
    read = files.read_by_states(loaded.encoder, parameters)
    unread = next(name for name in parameters if "expert" in name and name not in read)
    weights = load_file(tmp_path / "model.safetensors")
    lost = unread if unread in weights else next(name for name in weights if name.endswith(unread))
    save_file(
        {k: v for k, v in weights.items() if k != lost}, tmp_path / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(WeightsError, match="would be random"):
        load_foreign(open_checkpoint(tmp_path))


def the_pooled_output_is_the_contract(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
    written(hf.Aimv2VisionModel(hf.Aimv2VisionConfig(**sizes, image_size=32, patch_size=8, use_head=True)), tmp_path)
    (reading,) = read_model(tmp_path)
    assert reading.contract.pooling == "pooler"


def the_layout_counts_what_is_left_of_the_patches(tmp_path: Path) -> None:
    torch.manual_seed(0)
    written(hf.HieraModel(hf.HieraConfig(**HIERA)), tmp_path)
    folders.image_processor(tmp_path)
    embedder = ct.load(tmp_path)
    states = embedder.states(folders.pictures(1), modality="image")
    assert embedder.layout.length == states.last_BLD.shape[1]


# -- the faults --------------------------------------------------------------------------------------------------------


def padded_and_untried(patch: Patch) -> None:
    """Texts of several lengths in one padded batch, without position ids, and nobody looks."""

    def padded(self: Foreign, tokens: Tokens, layers: Any) -> States:
        out = self.model(input_ids=tokens.ids_BL, attention_mask=tokens.mask_BL.long())
        return States(out.last_hidden_state, tokens.roles_BL, layers={layer: out.last_hidden_state for layer in layers})

    patch.setattr(foreign_model, "by_length", padded)
    patch.setattr(loading, "settle_company", lambda folder, readings: None)


def one_label_for_all(patch: Patch) -> None:
    original = model.classifier_of

    def made(*given: Any) -> Any:
        classifier = original(*given)
        if classifier is not None:
            classifier.multilabel = classifier.regression = False
        return classifier

    patch.setattr(model, "classifier_of", made)


def causal_whatever_the_config_says(patch: Patch) -> None:
    original = open_clip.block_shape
    patch.setattr(open_clip, "block_shape", lambda config, heads, causal: original(config, heads=heads, causal=True))


def known_by_its_name(patch: Patch) -> None:
    original = recipe_files._class_name

    def name(settings: Any) -> str:
        settings.get("image_processor_type")
        return original(settings)

    patch.setattr(recipe_files, "_class_name", name)


def with_the_decoder(patch: Patch) -> None:
    def side(whole: Any, tokens: Tokens) -> Any:
        return whole, {"input_ids": tokens.ids_BL, "attention_mask": tokens.mask_BL.long()}

    patch.setattr(reference, "_side", side)


FAULTS: dict[str, Fault] = {
    "one sample proves that a weight is not read": Fault(
        setting(files, "_place", lambda name: name), a_random_expert_is_refused
    ),
    "a causal model is read by the mean": Fault(
        setting(Foreign, "causal", False), test_foreign_meant.test_a_causal_model_whose_files_say_nothing_is_asked_about
    ),
    "nobody asks what a classifier reads": Fault(
        both(setting(files, "meant_by", lambda foreign: None), setting(model, "foreign_head", lambda *_: None)),
        test_foreign_meant.test_the_contract_is_what_the_classifier_reads,
        {"name": "swin"},
    ),
    "nobody looks at the pooled output": Fault(
        setting(files, "meant_by", lambda foreign: None), the_pooled_output_is_the_contract
    ),
    "constant tokens behind the first are registers": Fault(
        setting(Foreign, "class_tokens", lambda self, constant: min(constant, 1)),
        test_foreign_meant.test_constant_tokens_that_the_pooled_output_reads_are_class_tokens,
    ),
    "patches are counted where blocks merge them": Fault(
        setting(Foreign, "patch", property(lambda self: 4)), the_layout_counts_what_is_left_of_the_patches
    ),
    "padding is mixed in": Fault(
        padded_and_untried,
        test_refuted.test_company_moves_no_vector_of_a_model_that_mixes_padding_in,
        {"kind": "fnet", "side": "right"},
    ),
    "positions are counted from the padded row": Fault(
        padded_and_untried,
        test_refuted.test_company_moves_no_vector_of_a_model_that_mixes_padding_in,
        {"kind": "gpt2", "side": "left"},
    ),
    "an adapter is passed over": Fault(
        setting(checkpoint, "adapter_in", lambda folder: None),
        test_adapter.test_beside_its_base,
        {"settings": {}, "scale": 4.0, "base": folders.tiny_bert},
    ),
    "blocks that nobody builds are passed over": Fault(
        setting(files, "_check_numbers", lambda *given: None),
        test_refuted.test_a_config_with_fewer_blocks_than_the_file_is_refused,
        {"made": test_refuted.tiny_foreign},
    ),
    "numbers that are none are taken": Fault(
        setting(towers, "check_finite", lambda *given: None),
        test_refuted.test_numbers_that_are_none_are_refused,
        {"made": folders.tiny_bert},
    ),
    "every head is a softmax": Fault(
        one_label_for_all,
        test_refuted.test_a_published_head_means_what_its_problem_type_says,
        {"kind": "multi_label_classification"},
    ),
    "mean and maximum are the mean": Fault(
        lambda patch: patch.setitem(timm.REDUCES, "avgmax", timm.REDUCES["avg"]),  # type: ignore[arg-type]
        lambda tmp_path: test_timm.test_states_pooled_and_logits("avgmax", ""),
    ),
    "every text side is causal": Fault(
        causal_whatever_the_config_says, lambda tmp_path: test_open_clip.test_both_sides("clip_bidirectional")
    ),
    "an unknown processor does the plain steps": Fault(
        known_by_its_name,
        test_processors.test_one_that_does_something_else_is_refused,
        {
            "name": "LevitImageProcessor",
            "settings": {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}},
        },
    ),
    "an end token that is asked for and absent is not said": Fault(
        setting(wordpieces, "_unheeded_flags", lambda *given: ()),
        test_text.test_flags_that_the_template_does_not_do_are_said,
        {"flags": {"add_bos_token": True, "add_eos_token": True}, "says": "add_eos_token true, but the template"},
    ),
    "states are compared with a decoder's": Fault(
        with_the_decoder,
        test_reference.test_states_are_compared_for_every_kind_of_model,
        {"case": next(case for case in CASES if case.name == "t5 encoder")},
    ),
}
#: Faults with sentence-transformers' folders, which a battery of their own makes.
OF_SENTENCE_TRANSFORMERS = (
    "a residual is left out",
    "what is done to tokens is left out",
    "all numbers are given",
    "the class token stands for the first one behind the prompt",
    "an image's mean leaves its class token out",
)


def run(fault: Fault, folder: Path) -> None:
    """The test of a kind, its fixtures made."""
    folder.mkdir()
    given = {name: made(folder / "base") if name == "base" else made for name, made in fault.given.items()}
    fault.test(tmp_path=folder, **given)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_noticed(name: str, tmp_path: Path, monkeypatch: Patch) -> None:
    fault = FAULTS[name]
    run(fault, tmp_path / "right")
    fault.make(monkeypatch)
    with pytest.raises((Exception, pytest.fail.Exception)) as caught:
        run(fault, tmp_path / "wrong")
    assert not isinstance(caught.value, TypeError | NameError | ImportError), caught.value


def test_those_of_sentence_transformers_are_made_too() -> None:
    assert set(OF_SENTENCE_TRANSFORMERS) <= set(MISTAKES)
