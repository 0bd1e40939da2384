"""Tiny reference models of the text families.

Their configs hold unusual values (a large eps, a small rotary base, another padding id), so that a row which passes
over a field of the config, or takes its default, is far off.
"""

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf
from tests.encoder.parity import Case, Inputs
from torch import nn

from classtoken.tensors import Tokens
from classtoken.values import Role

VOCABULARY = 99
LENGTHS = (7, 12, 10, 7)
SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
WORDS = {**SMALL, "vocab_size": VOCABULARY, "max_position_embeddings": 16, "layer_norm_eps": 3e-3}
LABELS = {"num_labels": 5}
T5_SIZES = {"vocab_size": VOCABULARY, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4}
T5_BUCKETS = {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 9, "layer_norm_epsilon": 3e-3}
EOS = VOCABULARY - 1  # CLIP's end token is the highest id


def batch(config: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Random word pieces of several lengths, padded on the right, and their roles: [CLS] first, [SEP] last."""
    pad = getattr(config, "pad_token_id", None) or 0
    ids = torch.randint(5, VOCABULARY - 1, (len(LENGTHS), max(LENGTHS)))
    roles = torch.full_like(ids, Role.CONTENT)
    for row, n in enumerate(LENGTHS):
        ids[row, n:] = pad
        roles[row, n:], roles[row, 0], roles[row, n - 1] = Role.PAD, Role.CLASS, Role.END
    return ids, roles


def texts(config: Any) -> Inputs:
    """A padded batch and its mask."""
    ids, roles = batch(config)
    return Inputs({"input_ids": ids, "attention_mask": (roles != Role.PAD).long()}, Tokens(roles, ids))


def without_class_token(config: Any) -> Inputs:
    """The same for families whose tokenizer puts nothing before a text."""
    ids, roles = batch(config)
    roles[:, 0] = Role.CONTENT
    return Inputs({"input_ids": ids, "attention_mask": (roles != Role.PAD).long()}, Tokens(roles, ids))


def captions(config: Any) -> Inputs:
    """CLIP's texts: the end token has the highest id, and the padding is made of end tokens too."""
    ids, roles = batch(config)
    ids[(roles == Role.END) | (roles == Role.PAD)] = EOS
    return Inputs({"input_ids": ids, "attention_mask": (roles != Role.PAD).long()}, Tokens(roles, ids))


def full_length(config: Any) -> Inputs:
    """SigLIP's texts: padded to the full length, the padding read like any token, no mask."""
    config = getattr(config, "text_config", config)
    ids = torch.randint(5, VOCABULARY, (3, config.max_position_embeddings))
    ids[0, 9:] = ids[1, 5:] = 1
    return Inputs({"input_ids": ids}, Tokens(torch.full_like(ids, Role.CONTENT), ids))


def with_roberta_positions(**more: Any) -> dict[str, Any]:
    """Two positions are lost to the padding's."""
    return {**WORDS, "max_position_embeddings": 18, "pad_token_id": 3, "type_vocab_size": 1, **more}


def pair(
    name: str,
    family: str,
    base: Callable[[Any], nn.Module],
    classifier: Callable[[Any], nn.Module],
    config: Callable[..., Any],
) -> tuple[Case, Case]:
    """The bare model and the one with a classifier, whose names carry the model's prefix."""
    return (
        Case(name, family, lambda: base(config()), texts),
        Case(f"{name} with a head", family, lambda: classifier(config(**LABELS)), texts, logits=True),
    )


def bert(**more: Any) -> hf.BertConfig:
    return hf.BertConfig(**WORDS, **more)


def roberta(**more: Any) -> hf.RobertaConfig:
    return hf.RobertaConfig(**with_roberta_positions(**more))


def albert(**more: Any) -> hf.AlbertConfig:
    return hf.AlbertConfig(**{**WORDS, "embedding_size": 16, **more})


def electra(**more: Any) -> hf.ElectraConfig:
    return hf.ElectraConfig(**{**WORDS, "embedding_size": 16, **more})


def distilbert(**more: Any) -> hf.DistilBertConfig:
    return hf.DistilBertConfig(
        vocab_size=VOCABULARY, max_position_embeddings=16, dim=32, n_layers=3, n_heads=4, hidden_dim=48, **more
    )


def mpnet(**more: Any) -> hf.MPNetConfig:
    words = {k: v for k, v in with_roberta_positions(pad_token_id=1, **more).items() if k != "type_vocab_size"}
    return hf.MPNetConfig(**words)


def modernbert(**more: Any) -> hf.ModernBertConfig:
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    words = {**SMALL, "vocab_size": VOCABULARY, "num_hidden_layers": 4, "local_attention": 4, "norm_eps": 3e-3}
    rope = {"full_attention": {"rope_theta": 70.0}, "sliding_attention": {"rope_theta": 30.0}}
    return hf.ModernBertConfig(**{**words, **special, "rope_parameters": rope, **more}, global_attn_every_n_layers=2)


def nomic(**more: Any) -> hf.NomicBertConfig:
    return hf.NomicBertConfig(**WORDS, rope_parameters={"rope_type": "default", "rope_theta": 50.0}, **more)


def qwen3(**more: Any) -> hf.Qwen3Config:
    words = {**SMALL, "vocab_size": VOCABULARY, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 3e-3}
    rope = {"rope_type": "default", "rope_theta": 50.0}
    return hf.Qwen3Config(**{**words, "rope_parameters": rope, "pad_token_id": 0, **more})


DECODER = {**SMALL, "vocab_size": VOCABULARY, "num_key_value_heads": 2, "rms_norm_eps": 3e-3, "pad_token_id": 0}
DECODER |= {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}}


def bert_of_dpr(model: Any) -> Any:
    """The BERT within, whose class token's state is what the model gives."""
    return getattr(model, "question_encoder", getattr(model, "ctx_encoder", None)).bert_model


def megatron(**more: Any) -> hf.MegatronBertConfig:
    return hf.MegatronBertConfig(**WORDS, **more)


def gte(**more: Any) -> hf.GteConfig:
    rope = {"rope_type": "default", "rope_theta": 50.0}
    return hf.GteConfig(**WORDS, rope_parameters=rope, **more)


def metaclip() -> hf.MetaClip2Config:
    vision = {**SMALL, "image_size": 16, "patch_size": 4}
    return hf.MetaClip2Config(text_config=clip_text().to_dict(), vision_config=vision, projection_dim=24)


def chinese_clip() -> hf.ChineseCLIPConfig:
    vision = {**SMALL, "image_size": 16, "patch_size": 4}
    return hf.ChineseCLIPConfig(text_config={**WORDS}, vision_config=vision, projection_dim=24)


def t5(**more: Any) -> hf.T5Config:
    return hf.T5Config(**{**T5_SIZES, **T5_BUCKETS, **more})


def clip_text(**more: Any) -> hf.CLIPTextConfig:
    return hf.CLIPTextConfig(**WORDS, **{"eos_token_id": EOS, "bos_token_id": 0, "pad_token_id": EOS, **more})


def siglip_text(**more: Any) -> hf.SiglipTextConfig:
    return hf.SiglipTextConfig(**WORDS, **more)


def clip() -> hf.CLIPConfig:
    vision = {**SMALL, "image_size": 16, "patch_size": 4}
    return hf.CLIPConfig(text_config=clip_text().to_dict(), vision_config=vision, projection_dim=24)


def siglip() -> hf.SiglipConfig:
    vision = {**SMALL, "image_size": 16, "patch_size": 4}
    return hf.SiglipConfig(text_config=siglip_text().to_dict(), vision_config=vision)


# -- configs as they were spelled before ------------------------------------------------------------------------------


def old_modernbert(config: dict[str, Any]) -> dict[str, Any]:
    """As ModernBERT was published: every n-th block is global, and a base for each kind."""
    rope = config.pop("rope_parameters")
    config.pop("layer_types")
    return config | {
        "global_attn_every_n_layers": 2,
        "global_rope_theta": rope["full_attention"]["rope_theta"],
        "local_rope_theta": rope["sliding_attention"]["rope_theta"],
    }


def old_qwen3(config: dict[str, Any]) -> dict[str, Any]:
    """As Qwen3-Embedding was published."""
    base = config.pop("rope_parameters")["rope_theta"]
    return {**config, "rope_theta": base, "rope_scaling": None}


def nomics_own(config: dict[str, Any]) -> dict[str, Any]:
    """As nomic-embed-text was published."""
    names = {
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "n_inner",
        "layer_norm_eps": "layer_norm_epsilon",
    }
    base = config.pop("rope_parameters")["rope_theta"]
    config = {names.get(key, key): value for key, value in config.items() if key not in ("hidden_act", "head_dim")}
    return config | {"activation_function": "swiglu", "rotary_emb_base": base, "prenorm": False, "causal": False}


TEXT_CASES: tuple[Case, ...] = (
    *pair("bert", "bert", hf.BertModel, hf.BertForSequenceClassification, bert),
    Case("bert as a language model", "bert", lambda: hf.BertForMaskedLM(bert()), texts),
    Case("bert as a decoder", "bert", lambda: hf.BertModel(bert(is_decoder=True)), texts),
    *pair("roberta", "roberta", hf.RobertaModel, hf.RobertaForSequenceClassification, roberta),
    Case(
        "xlm-roberta",
        "roberta",
        lambda: hf.XLMRobertaModel(hf.XLMRobertaConfig(**with_roberta_positions())),
        texts,
    ),
    Case(
        "camembert", "roberta", lambda: hf.CamembertForMaskedLM(hf.CamembertConfig(**with_roberta_positions())), texts
    ),
    *pair("albert", "albert", hf.AlbertModel, hf.AlbertForSequenceClassification, albert),
    Case(
        "albert with two sets of weights",
        "albert",
        lambda: hf.AlbertModel(albert(num_hidden_groups=2, num_hidden_layers=4)),
        texts,
    ),
    Case("albert without a smaller embedding", "albert", lambda: hf.AlbertModel(albert(embedding_size=32)), texts),
    *pair("electra", "electra", hf.ElectraModel, hf.ElectraForSequenceClassification, electra),
    Case(
        "electra without projection",
        "electra",
        lambda: hf.ElectraModel(electra(embedding_size=32)),
        texts,
    ),
    *pair("distilbert", "distilbert", hf.DistilBertModel, hf.DistilBertForSequenceClassification, distilbert),
    Case(
        "distilbert sinusoidal", "distilbert", lambda: hf.DistilBertModel(distilbert(sinusoidal_pos_embds=True)), texts
    ),
    *pair("mpnet", "mpnet", hf.MPNetModel, hf.MPNetForSequenceClassification, mpnet),
    *pair("modernbert", "modernbert", hf.ModernBertModel, hf.ModernBertForSequenceClassification, modernbert),
    Case(
        "modernbert with a head on the mean",
        "modernbert",
        lambda: hf.ModernBertForSequenceClassification(modernbert(classifier_pooling="mean", **LABELS)),
        texts,
        logits=True,
    ),
    Case(
        "modernbert with biases",
        "modernbert",
        lambda: hf.ModernBertModel(modernbert(norm_bias=True, attention_bias=True, mlp_bias=True)),
        texts,
    ),
    Case(
        "modernbert as published", "modernbert", lambda: hf.ModernBertModel(modernbert()), texts, respell=old_modernbert
    ),
    *pair("nomic_bert", "nomic_bert", hf.NomicBertModel, hf.NomicBertForSequenceClassification, nomic),
    Case("nomic_bert as published", "nomic_bert", lambda: hf.NomicBertModel(nomic()), texts, respell=nomics_own),
    Case("t5 encoder", "t5", lambda: hf.T5EncoderModel(t5()), without_class_token),
    Case(
        "t5 encoder, gated",
        "t5",
        lambda: hf.T5EncoderModel(t5(feed_forward_proj="gated-gelu")),
        without_class_token,
    ),
    Case(
        "t5 with its decoder",
        "t5",
        lambda: hf.T5ForConditionalGeneration(t5()),
        without_class_token,
        tower=lambda model: model.get_encoder(),
    ),
    Case(
        "t5 that labels tokens",
        "t5",
        lambda: hf.T5ForTokenClassification(t5(**LABELS)),
        without_class_token,
        tower=lambda model: model.transformer,
    ),
    Case(
        "mt5 encoder",
        "t5",
        lambda: hf.MT5EncoderModel(hf.MT5Config(**T5_SIZES)),
        without_class_token,
    ),
    Case("qwen3", "qwen3", lambda: hf.Qwen3Model(qwen3()), without_class_token),
    Case(
        "qwen3 as a language model",
        "qwen3",
        lambda: hf.Qwen3ForCausalLM(qwen3(attention_bias=True)),
        without_class_token,
    ),
    Case(
        "qwen3 with windows",
        "qwen3",
        lambda: hf.Qwen3Model(qwen3(use_sliding_window=True, sliding_window=4, max_window_layers=1)),
        without_class_token,
    ),
    Case("qwen3 as published", "qwen3", lambda: hf.Qwen3Model(qwen3()), without_class_token, respell=old_qwen3),
    Case("llama", "llama", lambda: hf.LlamaModel(hf.LlamaConfig(**DECODER)), without_class_token),
    Case(
        "llama with biases",
        "llama",
        lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**DECODER, attention_bias=True, mlp_bias=True, head_dim=16)),
        without_class_token,
    ),
    Case("mistral", "mistral", lambda: hf.MistralModel(hf.MistralConfig(**DECODER)), without_class_token),
    Case(
        "mistral with a window",
        "mistral",
        lambda: hf.MistralModel(hf.MistralConfig(**DECODER, sliding_window=4)),
        without_class_token,
    ),
    Case("qwen2", "qwen2", lambda: hf.Qwen2Model(hf.Qwen2Config(**DECODER)), without_class_token),
    Case(
        "qwen2 with windows",
        "qwen2",
        lambda: hf.Qwen2Model(
            hf.Qwen2Config(**DECODER, use_sliding_window=True, sliding_window=4, max_window_layers=1)
        ),
        without_class_token,
    ),
    Case("ernie", "bert", lambda: hf.ErnieModel(hf.ErnieConfig(**WORDS)), texts),
    *(
        Case(
            f"dpr {side}", "dpr", lambda kind=kind: kind(hf.DPRConfig(**WORDS)), texts, lambda model: bert_of_dpr(model)
        )
        for side, kind in (("question", hf.DPRQuestionEncoder), ("context", hf.DPRContextEncoder))
    ),
    *pair("megatron-bert", "megatron_bert", hf.MegatronBertModel, hf.MegatronBertForSequenceClassification, megatron),
    *pair("gte", "gte", hf.GteModel, hf.GteForSequenceClassification, gte),
    Case("gte without kinds", "gte", lambda: hf.GteModel(gte(type_vocab_size=0)), texts),
    Case(
        "eurobert",
        "eurobert",
        lambda: hf.EuroBertModel(hf.EuroBertConfig(**DECODER)),
        without_class_token,
    ),
    Case(
        "eurobert with a head of its own",
        "eurobert",
        lambda: hf.EuroBertForMaskedLM(hf.EuroBertConfig(**DECODER, attention_bias=True)),
        without_class_token,
    ),
    Case(
        "chinese clip text",
        "chinese_clip_text",
        lambda: hf.ChineseCLIPModel(chinese_clip()),
        lambda config: texts(config.text_config),
        tower=lambda model: model.text_model,
    ),
    Case(
        "metaclip 2 text",
        "metaclip_2_text",
        lambda: hf.MetaClip2Model(metaclip()),
        lambda config: captions(config.text_config),
        tower=lambda model: model.text_model,
    ),
    Case("clip text", "clip_text", lambda: hf.CLIPTextModel(clip_text()), captions),
    Case("clip text, old end token", "clip_text", lambda: hf.CLIPTextModel(clip_text(eos_token_id=2)), captions),
    Case(
        "clip text with projection",
        "clip_text",
        lambda: hf.CLIPTextModelWithProjection(clip_text()),
        captions,
        tower=lambda model: getattr(model, "text_model", model),  # the class without a projection is the tower itself
    ),
    Case(
        "clip text out of the two towers",
        "clip_text",
        lambda: hf.CLIPModel(clip()),
        lambda config: captions(config.text_config),
        tower=lambda model: model.text_model,
    ),
    Case("siglip text", "siglip_text", lambda: hf.SiglipTextModel(siglip_text()), full_length),
    Case(
        "siglip text out of the two towers",
        "siglip_text",
        lambda: hf.SiglipModel(siglip()),
        full_length,
        tower=lambda model: model.text_model,
    ),
    Case("siglip2 text", "siglip2_text", lambda: hf.Siglip2TextModel(hf.Siglip2TextConfig(**WORDS)), full_length),
)
