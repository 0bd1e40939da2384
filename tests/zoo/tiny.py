"""Every encoder class of the installed transformers as a tiny model with random weights.

Sizes are made small by the names that configs share. A type whose code refuses them together gets small depths and
vocabularies only, and at last its own sizes.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from classtoken.encoder.foreign.quietly import quietly

#: Sizes in configs by their names -> the value here; a name counts with any prefix (`encoder_layers`).
DEPTHS: dict[str, int] = {
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layers", "n_layer", "layers", "depth"), 2),
    "vocab_size": 99,
    "n_positions": 64,
    "max_position_embeddings": 64,
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k", "experts_top_k"), 2),
    **dict.fromkeys(("n_group", "topk_group"), 1),
}
VOCABULARY = DEPTHS["vocab_size"]
WIDTHS: dict[str, int] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embed_dim", "embedding_size", "hidden_dim"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "n_inner", "d_inner"), 48),
    **dict.fromkeys(("num_attention_heads", "num_heads", "n_heads", "n_head", "attention_heads"), 4),
    "num_key_value_heads": 2,
    "emb_dim": 32,
    "hidden_size_per_layer_input": 8,
    **dict.fromkeys(("head_dim", "d_kv", "rotary_dim"), 8),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 16),
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
}
#: What follows from these sizes, and what a config is silent about that its class does not do without.
FOLLOWS: dict[str, Any] = {"mrope_section": [2, 1, 1], "per_layer_config": {}}
LEFT_OUT = ("out_features", "out_indices", "stage_names")
#: Counts that belong to lists beside them.
KEPT = ("num_feat_extract_layers",)
ROPE: dict[str, Any] = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 1, 1]}
PLAIN_ROPE: Mapping[str, Any] = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 1.0}
TOGETHER: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("autoformer", "informer", "time_series_transformer"), {"prediction_length": 4}),
    (("qwen2_vl_text", "qwen2_5_vl_text", "glm4v_text", "glm_image_text"), {"rope_parameters": ROPE}),
    (("hunyuan_v1_dense", "hunyuan_v1_moe", "ministral"), {"head_dim": 8, "num_key_value_heads": 2}),
)
BESIDE: dict[str, dict[str, Any]] = {
    "xmod": {"default_language": "en_XX"},
    "esm": {"vocab_size": VOCABULARY, "pad_token_id": 1, "mask_token_id": 32},
    "vit_mae": {"mask_ratio": 0.0},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "attention_layers": ["global", "local"]},
    "nemotron": {"num_key_value_heads": 2},
    "falcon_h1": {"mamba_expand": 1, "mamba_d_head": 8, "mamba_d_ssm": 32},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "perceiver": {"num_latents": 8, "d_latents": 32, "d_model": 32, "num_self_attends_per_block": 2},
    "efficientnet": {"image_size": 64},
    "neomme": {"rope_parameters": dict.fromkeys(("sliding_attention", "full_attention"), PLAIN_ROPE)},
    **{kind: more for kinds, more in TOGETHER for kind in kinds},
}
PLAIN: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": VOCABULARY,
}
EXPERTS: dict[str, Any] = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "n_shared_experts": 1,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
}
LATENT: dict[str, Any] = {
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}
SCANNED: dict[str, Any] = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_expand": 2,
    "mamba_n_groups": 1,
    "mamba_d_state": 8,
}
GROUPED: dict[str, Any] = {**PLAIN, "num_key_value_heads": 2}
#: Types whose sizes hang together in a way of their own, written out.
BY_HAND: dict[str, dict[str, Any]] = {
    "bamba": {**GROUPED, **SCANNED, "attn_layer_indices": [1]},
    "deepseek_v2": {**PLAIN, **EXPERTS, **LATENT, "num_key_value_heads": 4, "head_dim": 8, "topk_method": "greedy"},
    "dots1": {**GROUPED, **EXPERTS, "head_dim": 8},
    "gemma3n_text": {
        **GROUPED,
        "head_dim": 8,
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size_per_layer_input": 8,
        "num_kv_shared_layers": 0,
        "laurel_rank": 8,
        "altup_num_inputs": 2,
        "layer_types": ["sliding_attention", "full_attention"],
        "activation_sparsity_pattern": [0.0, 0.0],
    },
    "granitemoehybrid": {
        **GROUPED,
        **SCANNED,
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "shared_intermediate_size": 16,
        "layer_types": ["mamba", "attention"],
    },
    "hrm_text": PLAIN,
    "laguna": {**GROUPED, "head_dim": 8},
    "longcat_flash": {
        **{key: value for key, value in PLAIN.items() if key not in ("intermediate_size", "num_hidden_layers")},
        **LATENT,
        "num_layers": 2,
        "ffn_hidden_size": 48,
        "expert_ffn_hidden_size": 16,
        "n_routed_experts": 4,
        "zero_expert_num": 2,
        "moe_topk": 2,
        "head_dim": 8,
    },
    "mamba2": {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_heads": 8,
        "head_dim": 8,
        "expand": 2,
        "state_size": 8,
        "n_groups": 1,
    },
    "nemotron_h": {
        **GROUPED,
        "head_dim": 8,
        "hybrid_override_pattern": "M*",
        "mamba_num_heads": 8,
        "mamba_head_dim": 8,
        "ssm_state_size": 8,
        "n_groups": 1,
    },
    "recurrent_gemma": {
        **PLAIN,
        "num_key_value_heads": 1,
        "lru_width": 32,
        "attention_window_size": 16,
        "head_dim": 8,
        "block_types": ["recurrent", "attention"],
    },
    "reformer": {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "attention_head_size": 8,
        "num_attention_heads": 4,
        "feed_forward_size": 48,
        "attn_layers": ["local", "local"],
        "axial_pos_embds": False,
        "max_position_embeddings": 64,
        "local_attn_chunk_length": 4,
    },
    "xlstm": {
        "vocab_size": VOCABULARY,
        "hidden_size": 128,
        "embedding_dim": 128,
        "num_heads": 2,
        "num_hidden_layers": 2,
        "num_blocks": 2,
    },
    "zamba2": {
        **PLAIN,
        "num_key_value_heads": 4,
        "mamba_d_state": 8,
        "mamba_headdim": 8,
        "mamba_ngroups": 1,
        "n_mamba_heads": 8,
        "num_mem_blocks": 1,
        "layers_block_type": ["mamba", "hybrid"],
    },
}
#: Linear attention beside other blocks, and experts under other names.
LINEAR: dict[str, Any] = {
    **PLAIN,
    **LATENT,
    "num_key_value_heads": 4,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "linear_head_dim": 8,
    "linear_num_heads": 4,
    "moe_intermediate_size": 16,
    "num_experts": 4,
    "num_experts_per_token": 2,
    "num_shared_experts": 1,
    "num_expert_group": 1,
    "topk_group": 1,
}
SPARSE: dict[str, Any] = {
    **PLAIN,
    **EXPERTS,
    **LATENT,
    "num_key_value_heads": 4,
    "index_topk": 64,
    "index_head_dim": 8,
    "index_n_heads": 2,
}
TURNED: dict[str, Any] = {**PLAIN_ROPE, "mrope_section": [2, 1, 1]}
#: The word pieces that stand for an image's, which two models look up by name.
PICTURED = {"vocabulary_map": {"<image>": 5, "IMGIMGA": 6, "IMGIMGB": 7}}
CODED: dict[str, Any] = {"embed_dim": 16, "latent_channels": 16, "base_channels": 32, "channel_multiplier": [1, 1]}
MADE: dict[str, dict[str, Any]] = {
    "kimi_linear": {**LINEAR, "q_lora_rank": None, "layer_types": ["linear_attention", "full_attention"]},
    "bailing_hybrid": {**LINEAR, "first_k_dense_replace": 1, "layer_group_size": 2},
    "glm4v_moe_text": {**GROUPED, **EXPERTS, "head_dim": 8, "rope_parameters": TURNED},
    "hunyuan_vl_text": {**GROUPED, "head_dim": 8, "rope_parameters": TURNED},
    "mistral_large4_text": {**SPARSE, "no_rope_layers": [1, 0], "kv_source_layers": [0, 1]},
    "dots3_note_text": {
        **SPARSE,
        "head_dim": 16,
        "per_layer_config": {},
        "sliding_window": 16,
        "layer_types": ["sliding_attention", "indexed_attention"],
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
    "qwen4_exp_text": {
        **GROUPED,
        "layer_types": ["linear_attention", "full_attention"],
        "head_dim": 8,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 16,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "hc_count": 2,
        "hc_lowrank": 8,
        "ple_embed_dim": 32,
        "ngram_vocab_size_base": VOCABULARY,
        "heads_per_ngram": 2,
        "split_ngram_parts": 2,
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "indexer_budget": 64,
        "indexer_compress_ratio": 4,
    },
    "cohere_compass_text": {
        **GROUPED,
        "head_dim": 8,
        "layer_types": ["sliding_attention", "full_attention"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "rope_parameters": dict.fromkeys(("sliding_attention", "full_attention"), PLAIN_ROPE),
    },
    "dbrx": {
        "d_model": 32,
        "n_heads": 4,
        "n_layers": 2,
        "max_seq_len": 64,
        "vocab_size": VOCABULARY,
        "attn_config": {"kv_n_heads": 2, "rope_theta": 10_000.0, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "zamba": {
        **PLAIN,
        "num_hidden_layers": 4,
        "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
        "num_key_value_heads": 4,
        "mamba_dt_rank": 4,
        "use_mamba_kernels": False,
    },
    "layoutlmv3": {
        **PLAIN,
        "max_position_embeddings": 64,
        "coordinate_size": 4,
        "shape_size": 8,
        "input_size": 64,
        "visual_embed": False,
    },
    "funnel": {
        "vocab_size": VOCABULARY,
        "block_sizes": [1, 1],
        "block_repeats": [1, 1],
        "num_decoder_layers": 1,
        "d_model": 32,
        "n_head": 4,
        "d_head": 8,
        "d_inner": 48,
        "architectures": ["FunnelModel"],
    },
    "granite_speech5_encoder": {
        **PLAIN,
        "head_dim": 8,
        "num_key_value_heads": 4,
        "context_size": 32,
        "max_position_embeddings": 64,
    },
    "muse_spark_audio": {
        "patch_sizes": [4, 2],
        "hidden_sizes": [16, 32],
        "depths": [1, 1],
        "num_hidden_layers": 2,
        "out_hidden_size": 32,
    },
    "moonshine_streaming": {**PLAIN, "num_key_value_heads": 4},
    "chameleon": {
        **GROUPED,
        **PICTURED,
        "num_key_value_heads": 4,
        "vq_config": {**CODED, "num_embeddings": 8, "num_res_blocks": 1, "resolution": 32},
    },
    "emu3": {
        **PICTURED,
        "text_config": {**GROUPED, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
        "vq_config": {**CODED, "num_res_blocks": 1, "codebook_size": 8, "z_channels": 4},
    },
    "kyutai_speech_to_text": {**GROUPED, "pad_token_id": 0, "bos_token_id": 1, "ffn_dim": 48, "head_dim": 8},
}
BY_HAND |= MADE
#: Models of several parts, of which one is written out above.
BESIDE |= {
    "hunyuan_vl": {"text_config": MADE["hunyuan_vl_text"]},
    "qwen4_exp": {"text_config": MADE["qwen4_exp_text"]},
    "mistral_large4": {"text_config": MADE["mistral_large4_text"]},
    "cohere_compass": {"text_config": MADE["cohere_compass_text"]},
    "granite_speech5_ctc": {"encoder_config": MADE["granite_speech5_encoder"], "vocab_size": VOCABULARY},
    "muse_spark": {"audio_config": MADE["muse_spark_audio"]},
    **{
        key: {"num_filters": 2, "depths": [1] * 7}
        for key in ("vibevoice_acoustic_tokenizer", "vibevoice_acoustic_tokenizer_encoder")
    },
}
STAGED: dict[str, Any] = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
#: A backbone of four stages, each half as wide and high as the one before.
HALVED: dict[str, Any] = {
    "model_type": "pp_lcnet_v4",
    "stem_channels": [3, 8, 16],
    "block_configs": [[[3, 16, 16, stride, False]] for stride in (1, 2, 2, 2)],
    **STAGED,
}
RATIOS = {"long": 7, "mid": 5, "short": 3}
#: Kernel, stride and padding of the strips that a detector of text looks through.
STRIPS: dict[str, Any] = {
    "reduce_channel": [1, 1, 0],
    "return_channel": [1, 1, 0],
    **{f"vertical_long_to_small_conv_{n}ratio": [[k, 1], [1, 1], [k // 2, 0]] for n, k in RATIOS.items()},
    **{f"horizontal_small_to_long_conv_{n}ratio": [[1, k], [1, 1], [0, k // 2]] for n, k in RATIOS.items()},
    **{f"symmetric_conv_long_{n}ratio": [[k, k], [1, 1], [k // 2, k // 2]] for n, k in RATIOS.items()},
}
BOXES: dict[str, Any] = {"d_model": 32, "num_queries": 20, "decoder_ffn_dim": 48, "decoder_layers": 2}
BOXES |= {"decoder_self_attention_heads": 4, "decoder_cross_attention_heads": 4, "projector_out_channels": 32}
WINDOWS: dict[str, Any] = {
    **{key: PLAIN[key] for key in ("hidden_size", "num_attention_heads")},
    "num_hidden_layers": 4,
    "image_size": 224,
    "num_windows": 4,
    "out_indices": [2, 4],
}
PICTURED_TOO: dict[str, dict[str, Any]] = {
    "dots3_note": {
        "text_config": MADE["dots3_note_text"],
        "vision_config": {**PLAIN, "per_layer_config": {}, "adapter_in_dim": 32, "adapter_out_dim": 32},
        "audio_config": {**PLAIN, "adapter_input_size": 32, "adapter_out_dim": 32, "downsample_hidden_size": 16},
    },
    "ernie4_5_vl_moe": {
        "text_config": {
            **GROUPED,
            "hidden_size": 64,
            "moe_intermediate_size": [16, 8],
            "moe_num_experts": 4,
            "moe_k": 2,
            "mlp_layer_types": ["dense", "sparse"],
            "rope_parameters": {**PLAIN_ROPE, "mrope_section": [3, 3, 2]},
        },
        "vision_config": {"hidden_size": 32, "depth": 1, "num_heads": 4, "intermediate_size": 48},
    },
    "granite4_vision": {
        "text_config": {**PLAIN, "hidden_size": 64, "num_key_value_heads": 4},
        "vision_config": {**PLAIN, "hidden_size": 64, "image_size": 64, "patch_size": 16},
        "deepstack_layer_map": [[-1, 0]],
        "spatial_target_layers": [1],
        "downsample_rate": "1/2",
    },
    "kyutai_speech_to_text": {
        **MADE["kyutai_speech_to_text"],
        "audio_pad_token_id": 5,
        "audio_bos_token_id": 2,
        "codebook_vocab_size": 20,
        "num_codebooks": 4,
    },
    "lw_detr": {
        **BOXES,
        "projector_scale_factors": [1.0],
        "backbone_config": {
            "model_type": "lw_detr_vit",
            **WINDOWS,
            "pretrain_image_size": 224,
            "num_windows_side": 2,
            "window_block_indices": [0, 1],
        },
    },
    "rf_detr": {
        **BOXES,
        "backbone_config": {"model_type": "rf_detr_dinov2", **WINDOWS, "window_block_indexes": [0, 1]},
    },
    "mask2former": {
        **dict.fromkeys(("feature_size", "mask_feature_size", "hidden_dim"), 32),
        **dict.fromkeys(("encoder_feedforward_dim", "dim_feedforward"), 48),
        "num_attention_heads": 4,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "num_queries": 10,
        "backbone_config": {"model_type": "swin", "embed_dim": 24, "depths": [1] * 4, "num_heads": [3] * 4, **STAGED},
    },
    "pp_ocrv6_medium_det": {
        "backbone_config": HALVED,
        "intraclass_block_config": STRIPS,
        "scale_factor_list": [1, 2, 4, 8],
        "kernel_list": [3, 2, 2],
        "neck_out_channels": 32,
    },
    "pp_ocrv6_small_det": {"backbone_config": HALVED, "layer_list_out_channels": [16] * 4, "neck_out_channels": 32},
    "uvdoc": {"backbone_config": {"model_type": "uvdoc_backbone", "out_features": [f"stage{n}" for n in range(1, 7)]}},
}
BY_HAND |= PICTURED_TOO
HEARD: dict[str, Any] = {"num_filters": 2, "depths": [1] * 7}
BESIDE |= {
    "deepseek_ocr2": {
        "text_config": {**PLAIN, **EXPERTS, "num_key_value_heads": 4, "mlp_layer_types": ["dense", "sparse"]}
    },
    "diffusion_gemma": {
        "text_config": {
            **GROUPED,
            "head_dim": 8,
            "per_layer_config": {},
            "num_experts": 4,
            "top_k_experts": 2,
            "moe_intermediate_size": 16,
            "layer_types": ["sliding_attention", "full_attention"],
            "rope_parameters": dict.fromkeys(("sliding_attention", "full_attention"), PLAIN_ROPE),
        }
    },
    "molmo2": {
        "adapter_config": {**PLAIN, "vision_feature_layer": [1, 0], "num_key_value_heads": 4, "text_hidden_size": 32}
    },
    "nemo_speechlm": {"word_timestamp_config": {"blank_token_id": 3}},
    "t5gemma2_encoder": {"text_config": {"dropout_rate": 0.0}},
    "vibevoice": {"audio_config": HEARD, "semantic_model_config": HEARD},
    "vibevoice_asr": {"acoustic_tokenizer_encoder_config": HEARD, "semantic_tokenizer_encoder_config": HEARD},
}
SPECIAL = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "mask_token_id")
#: With more numbers a model is not built.
LARGEST = 100_000_000


def types() -> tuple[str, ...]:
    """Every `model_type` that AutoModel opens."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return tuple(sorted(MODEL_MAPPING_NAMES))


def smaller(config: dict[str, Any], sizes: dict[str, int]) -> dict[str, Any]:
    """A config with these sizes made small, whatever they stand in."""
    if not all(isinstance(key, str) for key in config):  # labels by number
        return config
    staged = any(isinstance(config.get(key), list | tuple) for key in ("num_heads", "num_attention_heads", "depths"))
    found = {key: _smaller(key, value, sizes, staged) for key, value in config.items() if key not in LEFT_OUT}
    patch, image = found.get("patch_size"), found.get("image_size")
    if "head_dim" in sizes and isinstance(patch, int) and isinstance(image, int) and image > 8 * patch:
        found["image_size"] = 8 * patch
    for key in SPECIAL:
        if type(found.get(key)) is int and not 0 <= found[key] < VOCABULARY:
            found[key] = {"pad_token_id": 0, "bos_token_id": 1, "cls_token_id": 1}.get(key, 2)
    return found


def _smaller(key: str, value: Any, sizes: dict[str, int], staged: bool) -> Any:
    name = max((name for name in sizes if key == name or key.endswith(f"_{name}")), key=len, default="")
    size = None if key in KEPT else sizes.get(name)
    if key in FOLLOWS and "head_dim" in sizes:
        return FOLLOWS[key]
    if isinstance(value, dict):
        return smaller(value, sizes)
    if size is not None and type(value) is int and value > size and not (staged and size == 32):
        return size
    if key.endswith("depths") and isinstance(value, list | tuple):
        return [1] * len(value)
    if key.endswith("layer_types") and isinstance(value, list):
        return _each_kind(value)
    return value


def _each_kind(kinds: list[str]) -> list[str]:
    """Two blocks, of two kinds where there are two."""
    other = next((kind for kind in kinds if kind != kinds[0]), kinds[0])
    return [kinds[0], other]


SHRINK: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
    lambda config: smaller(config, DEPTHS | WIDTHS),
    lambda config: smaller(config, DEPTHS | WIDTHS | {"num_key_value_heads": 4}),
    lambda config: smaller(config, DEPTHS | {"intermediate_size": 48, "d_ff": 48}),
    lambda config: smaller(config, {k: v for k, v in DEPTHS.items() if k not in ("num_layers", "n_layer")}),
    lambda config: config,
)


def tiny_model(kind: str) -> nn.Module | None:
    """A model of a type, as small as it can be made, that reads a text or an image if any of them does."""
    first: nn.Module | None = None
    for model in _built(kind):
        if any(_runs(model, batch) for batch in samples(model)):
            return model
        first = model if first is None else first
    return first


def lacks_a_library(kind: str) -> bool:
    """Whether models of a type are put together by another library, which is not installed, or by nobody here."""
    from transformers import CONFIG_MAPPING, AutoModel

    try:
        with quietly(), torch.device("meta"):
            AutoModel.from_config(CONFIG_MAPPING[kind]())
    except ImportError:
        return True
    except Exception as error:  # whatever a class says to its own defaults; or AutoModel knows none of that name
        unknown = isinstance(error, ValueError) and ("Unrecognized" in str(error) or "Could not find" in str(error))
        return unknown or isinstance(error, AttributeError)  # the class is for another config than its type's
    return False


def _built(kind: str) -> Iterator[nn.Module]:
    """The models of every way to make a config small that its class takes, the smallest first."""
    from transformers import CONFIG_MAPPING, AutoModel

    made = CONFIG_MAPPING[kind]
    ways = [lambda: made(**BY_HAND[kind])] if kind in BY_HAND else []
    ways += [partial(_shrunk, made, shrink, BESIDE.get(kind, {})) for shrink in SHRINK]
    for way in ways:
        try:
            config = way()
            with quietly(), torch.device("meta"):
                size = sum(p.numel() for p in AutoModel.from_config(config).parameters())
            if size > LARGEST:
                continue
            torch.manual_seed(0)
            with quietly():
                model: nn.Module = AutoModel.from_config(config).float().eval()
        except Exception:  # whatever a class says to sizes that do not fit together
            continue
        stir(model)
        yield model


def _shrunk(made: Any, shrink: Callable[[dict[str, Any]], dict[str, Any]], beside: Mapping[str, Any]) -> Any:
    """A type's own config, made small."""
    return made.from_dict(shrink(made().to_dict() | dict(beside)))


@torch.no_grad()
def stir(model: nn.Module) -> None:
    """Give every weight another value than the one it began with; sizes stay as they are."""
    for parameter in model.parameters():
        noise = torch.randn_like(parameter)
        parameter.add_(noise * (0.1 if parameter.dim() < 2 else 0.02))


def samples(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """A text and an image, as far as the model's own forward names them."""
    named = inspect.signature(model.forward).parameters
    if "input_ids" in named:
        yield {"input_ids": torch.randint(5, 90, (1, 7)), "attention_mask": torch.ones(1, 7).long()}
    if "pixel_values" in named:
        config = getattr(model, "config", None)
        size = getattr(config, "image_size", None) or 224
        height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        yield {"pixel_values": torch.randn(1, int(getattr(config, "num_channels", 3)), height, width)}


@torch.no_grad()
def _runs(model: nn.Module, batch: dict[str, Tensor]) -> bool:
    try:
        config: Any = model.config
        side: Any = model.get_encoder() if config.is_encoder_decoder else model  # type: ignore[operator]
        return isinstance(side(**batch).last_hidden_state, Tensor)
    except Exception:  # whatever a class says to one text or image alone
        return False
