"""Ordinary model folders: written by the libraries' own savers, with keys that well-known published folders have."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tests.folders import WORDS, randomise

Files = Mapping[str, Mapping[str, Any]]
LETTERS = "\u2581abcdefghijklmnopqrstuvwxyz"
SPOKEN = [word for word in WORDS if word[0] not in "[#"]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
ROOM = {"max_position_embeddings": 32}
ROBERTA = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "max_position_embeddings": 36, "type_vocab_size": 1}
GROUPED = {**SIZES, "num_key_value_heads": 2, "max_position_embeddings": 64}
IMAGE = {**SIZES, "image_size": 32, "patch_size": 8}
RATIO = {**{key: value for key, value in IMAGE.items() if key != "intermediate_size"}, "mlp_ratio": 2}
SQUARE = {"height": 32, "width": 32}


def alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def numbered(*pieces: str) -> dict[str, int]:
    return {piece: number for number, piece in enumerate(pieces)}


def scored(*special: str, last: tuple[str, ...] = ()) -> list[tuple[str, float]]:
    words = [("\u2581" + word, -2.0 - number / 10) for number, word in enumerate(SPOKEN)]
    letters = [(letter, -6.0) for letter in LETTERS]
    return [*((one, 0.0) for one in special), *words, *letters, *((one, 0.0) for one in last)]


def wordpieces() -> Any:
    return hf.BertTokenizer(vocab=numbered(*WORDS), model_max_length=32)


def mpnet_pieces() -> Any:
    vocab = numbered("<s>", "<pad>", "</s>", "<unk>", *SPOKEN, "[UNK]", "<mask>")
    return hf.MPNetTokenizer(vocab=vocab, model_max_length=32)


def byte_pieces() -> Any:
    vocab = numbered("<s>", "<pad>", "</s>", "<unk>", *alphabet(), "<mask>")
    return hf.RobertaTokenizer(vocab=vocab, merges=[], model_max_length=32)


def xlm_pieces() -> Any:
    vocab = scored("<s>", "<pad>", "</s>", "<unk>", last=("<mask>",))
    return hf.XLMRobertaTokenizer(vocab=vocab, model_max_length=32)


def albert_pieces() -> Any:
    return hf.AlbertTokenizer(vocab=scored("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"), model_max_length=32)


def t5_pieces() -> Any:
    return hf.T5Tokenizer(vocab=scored("<pad>", "</s>", "<unk>"), model_max_length=16, extra_ids=4)


def clip_pieces() -> Any:
    letters = alphabet()
    vocab = numbered(*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>")
    return hf.CLIPTokenizer(vocab=vocab, merges=[], model_max_length=16)


def qwen_pieces() -> Any:
    from tokenizers import processors

    vocab = numbered(*alphabet(), "<|endoftext|>")
    made = hf.Qwen2Tokenizer(vocab=vocab, merges=[], model_max_length=32, padding_side="left")
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", len(vocab) - 1)]
    )
    return made


def llama_pieces() -> Any:
    vocab = numbered("<unk>", "<s>", "</s>", *(f"<0x{number:02X}>" for number in range(256)), *LETTERS)
    made = hf.LlamaTokenizer(vocab=vocab, merges=[], model_max_length=32, padding_side="left")
    made.pad_token = "</s>"
    return made


@dataclass(frozen=True)
class Ordinary:
    """A folder: its model by the number of word pieces, what prepares its inputs, and keys of published files."""

    name: str
    model: Callable[[int], torch.nn.Module]
    tokenizer: Callable[[], Any] | None = None
    processor: Callable[[], Any] | None = None
    published: Files = field(default_factory=dict)
    pooling: str | None = None
    """where the folder itself says nothing"""

    def save(self, folder: Path) -> Path:
        count = 0
        if self.tokenizer is not None:
            tokenizer = self.tokenizer()
            tokenizer.save_pretrained(folder)
            count = len(tokenizer)
        if self.processor is not None:
            self.processor().save_pretrained(folder)
        randomise(self.model(count)).save_pretrained(folder)  # type: ignore[operator]
        for file, values in self.published.items():
            there = json.loads((folder / file).read_text()) if (folder / file).is_file() else {}
            (folder / file).write_text(json.dumps(there | dict(values)))
        return folder


def of(model: Any, config: Any, **values: Any) -> Callable[[int], torch.nn.Module]:
    """A model of this config, its vocabulary as large as the tokenizer's."""
    return lambda count: model(config(**values, **({"vocab_size": count} if count else {})))


def clip(count: int) -> torch.nn.Module:
    text = {**GENERATION, **SIZES, "vocab_size": count, "max_position_embeddings": 16}
    ends = {"bos_token_id": count - 2, "eos_token_id": count - 1, "pad_token_id": count - 1}
    return hf.CLIPModel(hf.CLIPConfig(text_config=text | ends, vision_config=IMAGE, projection_dim=24))


def siglip(count: int) -> torch.nn.Module:
    text = {**SIZES, "vocab_size": count, "max_position_embeddings": 16, "projection_size": 32}
    return hf.SiglipModel(hf.SiglipConfig(text_config=text, vision_config=IMAGE))


OLD = {
    "_name_or_path": "somewhere/else",
    "gradient_checkpointing": False,
    "torch_dtype": "float32",
    "use_cache": True,
    "transformers_version": "4.8.2",
    "position_embedding_type": "absolute",
    "output_past": True,
    "classifier_dropout": None,
}
OLD_BERT = {
    "do_lower_case": True,
    "tokenize_chinese_chars": True,
    "strip_accents": None,
    "do_basic_tokenize": True,
    "never_split": None,
    "name_or_path": "somewhere/else",
    "special_tokens_map_file": "/tmp/map.json",
}
CALLED = {"clean_up_tokenization_spaces": True, "sp_model_kwargs": {}, "additional_special_tokens": []}
DECODER = {
    "attention_dropout": 0.0,
    "max_window_layers": 2,
    "rope_scaling": None,
    "rope_theta": 1e4,
    "use_sliding_window": False,
    "sliding_window": None,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "use_cache": True,
}
OLD_CLIP = {
    "do_lower_case": True,
    "errors": "replace",
    "add_prefix_space": False,
    "name_or_path": "somewhere/else",
    "special_tokens_map_file": "./special_tokens_map.json",
}
OLD_SIZES = {"crop_size": 32, "size": 32, "feature_extractor_type": "CLIPFeatureExtractor"}
GENERATION = {
    "bad_words_ids": None,
    "diversity_penalty": 0.0,
    "do_sample": False,
    "early_stopping": False,
    "top_k": 50,
    "exponential_decay_length_penalty": None,
    "length_penalty": 1.0,
    "max_length": 20,
    "num_beams": 1,
    "top_p": 1.0,
    "output_attentions": False,
    "problem_type": None,
    "pruned_heads": {},
    "repetition_penalty": 1.0,
    "prefix": None,
    "return_dict": True,
    "sep_token_id": None,
    "task_specific_params": None,
    "tie_word_embeddings": True,
    "torchscript": False,
    "typical_p": 1.0,
    "use_bfloat16": False,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
    "label2id": {"LABEL_0": 0, "LABEL_1": 1},
    "is_decoder": False,
    "add_cross_attention": False,
}
MODERN = {
    "classifier_activation": "gelu",
    "classifier_bias": False,
    "classifier_pooling": "mean",
    "decoder_bias": True,
    "deterministic_flash_attn": False,
    "layer_norm_eps": 1e-5,
    "position_embedding_type": "absolute",
    "reference_compile": None,
    "repad_logits_with_grad": False,
    "sparse_prediction": False,
    "max_length": 32,
}
DINOV2 = {
    "apply_layernorm": True,
    "drop_path_rate": 0.0,
    "reshape_hidden_states": True,
    "out_features": ["stage2"],
    "out_indices": [2],
    "stage_names": ["stem", "stage1", "stage2"],
    "use_swiglu_ffn": False,
}
BEIT = {
    "auxiliary_channels": 256,
    "auxiliary_concat_input": False,
    "auxiliary_loss_weight": 0.4,
    "pool_scales": [1, 2],
    "auxiliary_num_convs": 1,
    "semantic_loss_ignore_index": 255,
    "use_auxiliary_head": True,
}
CONFIG, WORDED, PICTURED = "config.json", "tokenizer_config.json", "preprocessor_config.json"

ORDINARY: tuple[Ordinary, ...] = (
    Ordinary(
        "bert", of(hf.BertModel, hf.BertConfig, **SIZES, **ROOM), wordpieces, None, {CONFIG: OLD, WORDED: OLD_BERT}
    ),
    Ordinary(
        "distilbert",
        of(hf.DistilBertModel, hf.DistilBertConfig, dim=32, n_layers=2, n_heads=4, hidden_dim=48, **ROOM),
        *(wordpieces, None),
        {CONFIG: {"sinusoidal_pos_embds": False, "tie_weights_": True, "seq_classif_dropout": 0.2}, WORDED: OLD_BERT},
    ),
    Ordinary(
        "electra",
        of(hf.ElectraModel, hf.ElectraConfig, **SIZES, **ROOM, embedding_size=16),
        *(wordpieces, None),
        {CONFIG: OLD | {"summary_activation": "gelu", "summary_last_dropout": 0.1, "summary_type": "first"}},
    ),
    Ordinary(
        "mpnet",
        of(hf.MPNetModel, hf.MPNetConfig, **SIZES, **{k: v for k, v in ROBERTA.items() if k != "type_vocab_size"}),
        *(mpnet_pieces, None),
        {CONFIG: OLD | {"relative_attention_num_buckets": 32}, WORDED: OLD_BERT},
    ),
    Ordinary(
        "roberta",
        of(hf.RobertaModel, hf.RobertaConfig, **SIZES, **ROBERTA),
        *(byte_pieces, None),
        {CONFIG: OLD, WORDED: {"trim_offsets": True, "errors": "replace"}},
    ),
    Ordinary(
        "xlm-roberta",
        of(hf.XLMRobertaModel, hf.XLMRobertaConfig, **SIZES, **ROBERTA),
        *(xlm_pieces, None),
        {CONFIG: OLD, WORDED: CALLED},
    ),
    Ordinary(
        "albert",
        of(hf.AlbertModel, hf.AlbertConfig, **SIZES, **ROOM, embedding_size=16, pad_token_id=0),
        *(albert_pieces, None),
        {
            CONFIG: OLD | {"down_scale_factor": 1, "gap_size": 0, "net_structure_type": 0, "num_memory_blocks": 0},
            WORDED: CALLED | {"do_lower_case": True, "keep_accents": False, "remove_space": True},
        },
    ),
    Ordinary(
        "modernbert",
        of(
            *(hf.ModernBertModel, hf.ModernBertConfig),
            **SIZES,
            **ROOM,
            local_attention=8,
            global_attn_every_n_layers=2,
            pad_token_id=0,
            cls_token_id=2,
            sep_token_id=3,
            bos_token_id=2,
            eos_token_id=3,
        ),
        *(wordpieces, None),
        {CONFIG: MODERN, WORDED: {"tokenizer_class": "PreTrainedTokenizerFast"}},
    ),
    Ordinary(
        "t5",
        of(hf.T5EncoderModel, hf.T5Config, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4),
        *(t5_pieces, None),
        {
            CONFIG: {"n_positions": 512, "output_past": True, "task_specific_params": {"a": {"prefix": "b"}}},
            WORDED: CALLED,
        },
    ),
    Ordinary(
        "qwen3",
        of(hf.Qwen3Model, hf.Qwen3Config, **GROUPED, head_dim=8),
        *(qwen_pieces, None),
        {CONFIG: DECODER, WORDED: {"split_special_tokens": False, "errors": "replace", "bos_token": None}},
    ),
    Ordinary(
        "qwen2", of(hf.Qwen2Model, hf.Qwen2Config, **GROUPED), qwen_pieces, None, {CONFIG: DECODER}, pooling="last"
    ),
    Ordinary(
        "mistral",
        of(hf.MistralModel, hf.MistralConfig, **GROUPED, head_dim=8, sliding_window=16),
        *(llama_pieces, None),
        {
            CONFIG: {"_flash_attn_2_enabled": True},
            WORDED: CALLED | {"legacy": False, "use_default_system_prompt": False},
        },
        pooling="last",
    ),
    Ordinary("llama", of(hf.LlamaModel, hf.LlamaConfig, **GROUPED), llama_pieces, pooling="last"),
    Ordinary("vit", of(hf.ViTModel, hf.ViTConfig, **IMAGE), None, lambda: hf.ViTImageProcessor(size=SQUARE)),
    Ordinary(
        "deit",
        of(hf.DeiTModel, hf.DeiTConfig, **IMAGE),
        None,
        lambda: hf.DeiTImageProcessor(size={"height": 36, "width": 36}, crop_size=SQUARE),
    ),
    Ordinary(
        "dinov2",
        of(
            hf.Dinov2Model, hf.Dinov2Config, **{k: v for k, v in IMAGE.items() if k != "intermediate_size"}, mlp_ratio=2
        ),
        None,
        lambda: hf.BitImageProcessor(size={"shortest_edge": 36}, crop_size=SQUARE),
        {CONFIG: DINOV2},
    ),
    Ordinary(
        "beit",
        of(hf.BeitModel, hf.BeitConfig, **IMAGE),
        None,
        lambda: hf.BeitImageProcessor(size=SQUARE, crop_size=SQUARE),
        {CONFIG: BEIT},
    ),
    Ordinary(
        "clip",
        clip,
        clip_pieces,
        lambda: hf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SQUARE),
        {CONFIG: {"text_config_dict": None, "vision_config_dict": None}, WORDED: OLD_CLIP, PICTURED: OLD_SIZES},
    ),
    Ordinary("siglip", siglip, t5_pieces, lambda: hf.SiglipImageProcessor(size=SQUARE)),
)
