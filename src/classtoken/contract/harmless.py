"""Keys of model folders that move no vector: about training, storage, text generation, and the files themselves.

A test changes each of them in the families that have it and sees that no vector moves (`tests/contract`). A key that is
read somewhere is not listed: which are read is seen, not written down. A name means a key at any depth, `name.*` all
that lies inside it.
"""

from collections.abc import Mapping


def _keys(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRAINING = _keys("""
attention_dropout attention_probs_dropout_prob attn_pdrop embd_pdrop embedding_dropout embeddings_dropout
hidden_dropout hidden_dropout_prob mlp_dropout activation_dropout dropout dropout_rate drop_path_rate layerdrop
classifier_dropout classifier_dropout_prob summary_last_dropout summary_first_dropout resid_pdrop qa_dropout
seq_classif_dropout emb_pdrop initializer_range initializer_factor initializer_cutoff_factor initializer_trunc_std
initializer_std logit_scale_init_value gradient_checkpointing mask_token_id masked_prediction_first mask_ratio
norm_pix_loss mask_loss_weight use_mask_token encoder_stride sparse_prediction sparse_pred_ignore_index
decoder_hidden_size decoder_num_hidden_layers decoder_num_attention_heads decoder_intermediate_size
deterministic_flash_attn repad_logits_with_grad use_auxiliary_head auxiliary_loss_weight auxiliary_channels
auxiliary_num_convs auxiliary_concat_input semantic_loss_ignore_index reshape_hidden_states pool_scales add_fpn
""")
STORAGE = _keys("""
_name_or_path name_or_path transformers_version torch_dtype dtype use_cache return_dict chunk_size_feed_forward
output_hidden_states output_attentions output_past _attn_implementation_autoset _attn_implementation attn_implementation
_flash_attn_2_enabled
_commit_hash torchscript use_bfloat16 tf_legacy_loss reference_compile use_flash_attn fused_bias_fc fused_mlp
fused_dropout_add_ln pad_vocab_size_multiple unpad_inputs use_memory_efficient_attention transformers.js_config
sentence_transformers sentence_transformers.*
""")
TASKS = _keys("""
id2label id2label.* label2id label2id.* finetuning_task task_specific_params task_specific_params.* num_labels language
problem_type architectures model_type is_encoder_decoder vision_feature_layer out_features out_indices stage_names
text_config vision_config projection_dim projection_size pooler_output_size
""")
GENERATION = _keys("""
bos_token_id eos_token_id sep_token_id cls_token_id pad_token_id decoder_start_token_id forced_bos_token_id
forced_eos_token_id suppress_tokens begin_suppress_tokens prefix tie_word_embeddings tie_encoder_decoder max_length
min_length do_sample num_beams num_beam_groups temperature top_k top_p typical_p repetition_penalty length_penalty
no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores
return_dict_in_generate remove_invalid_values early_stopping diversity_penalty cross_attention_hidden_size
add_cross_attention exponential_decay_length_penalty
""")
#: timm's and open_clip's, besides.
PUBLISHED = _keys("""
tag custom_load hf_hub_id hf_hub_filename source license paper_name paper_ids notes origin_url num_features num_classes
first_conv classifier pool_size test_input_size min_input_size fixed_input_size label_names label_descriptions
label_descriptions.* url file state_dict hf_hub_url test_crop_pct custom_text embed_dim init_logit_scale init_logit_bias
ls_init_value
""")
#: transformers' tokenizer classes write these; tokenizer.json holds what they stand for.
TOKENIZER = _keys("""
added_tokens_decoder added_tokens_decoder.* additional_special_tokens extra_special_tokens extra_special_tokens.*
clean_up_tokenization_spaces tokenizer_class processor_class tokenizer_file name_or_path special_tokens_map_file backend
is_local local_files_only max_length stride truncation_strategy pad_to_multiple_of pad_token_type_id never_split
do_basic_tokenize mask_token mask_token.* bos_token bos_token.* eos_token eos_token.* unk_token unk_token.* sep_token
sep_token.* cls_token cls_token.* pad_token pad_token.* model_input_names vocab_file merges_file chat_template errors
model_specific_special_tokens model_specific_special_tokens.* full_tokenizer_file trim_offsets extra_ids __version__
use_default_system_prompt spaces_between_special_tokens
""")
PIXELS = _keys("""
processor_class data_format input_data_format return_tensors device
disable_grouping model_input_names do_reduce_labels reduce_labels do_convert_rgb image_seq_length default_to_square
""")
#: What sentence-transformers writes of sizes that the weights have anyway, and of itself.
READOUT = _keys("""
__version__ __version__.* similarity_fn_name model_type idx name in_features out_features bias dimension
word_embedding_dimension embedding_dimension dropout
""")
#: What peft writes of how an adapter was trained; which modules it changes its own weights say.
ADAPTER = _keys("""
task_type auto_mapping auto_mapping.* peft_version base_model_name_or_path revision inference_mode target_modules
exclude_modules lora_dropout bias modules_to_save layers_to_transform layers_pattern use_dora lora_bias megatron_core
megatron_config megatron_config.* loftq_config loftq_config.* eva_config eva_config.* corda_config corda_config.*
qalora_group_size ensure_weight_tying fan_in_fan_out
""")
#: How sentence-transformers finds and calls the encoder and its tokenizer; nobody to ask about the rest.
CALLS = _keys("""
use_fast trust_remote_code revision code_revision local_files_only cache_dir token attn_implementation torch_dtype dtype
device_map backend unpad_inputs low_cpu_mem_usage use_safetensors add_pooling_layer use_memory_efficient_attention
""")
#: What older releases of transformers wrote into every config, and what it is where it asks for nothing.
NOTHING: Mapping[str, bool] = {"is_decoder": False}
HARMLESS: Mapping[str, frozenset[str]] = {
    "encoder": TRAINING | STORAGE | TASKS | GENERATION | PUBLISHED,
    "tokenizer": TOKENIZER,
    "pixels": PIXELS,
    "readout": READOUT,
    "adapter": ADAPTER,
    "calls": CALLS | TOKENIZER,
}


def is_harmless(key: str, part: str, more: frozenset[str] = frozenset()) -> bool:
    """Whether a key, `text_config.dropout` say, of a file that says something about `part` moves no vector.

    What a file hands to a tokenizer's class (open_clip's `tokenizer_kwargs`) never counts as such: `language`, harmless
    elsewhere, puts other tokens around a text there.
    """
    steps = key.split(".")
    if "tokenizer_kwargs" in steps[:-1]:
        return False
    inside = {".".join(steps[i:j]) + ".*" for i in range(len(steps)) for j in range(i + 1, len(steps))}
    return not (HARMLESS[part] | more).isdisjoint({key, steps[-1], *inside})
