namespace GemmaCore.Training.Configuration;

/// <summary>
/// Spellings: other tools' names for our keys, keys that are accepted where they ask for what happens anyway, and keys that mean something we cannot do.
/// </summary>
internal static class ConfigurationKeys
{
    /// <summary>LLaMA-Factory, axolotl, FLARE and older Hugging Face names → the standard spelling.</summary>
    public static readonly IReadOnlyDictionary<string, string> Aliases = new Dictionary<string, string>
    {
        ["base_model"] = "model_name_or_path",
        ["model"] = "model_name_or_path",
        ["lora_model_dir"] = "adapter_name_or_path",
        ["lora_r"] = "lora_rank",
        ["r"] = "lora_rank",
        ["lora_target"] = "target_modules",
        ["lora_target_modules"] = "target_modules",
        ["cutoff_len"] = "max_length",
        ["sequence_len"] = "max_length",
        ["max_seq_length"] = "max_length",
        ["image_tokens"] = "mm_tokens_per_image",
        ["num_image_tokens"] = "mm_tokens_per_image",
        ["image_seq_length"] = "mm_tokens_per_image",
        ["micro_batch_size"] = "per_device_train_batch_size",
        ["eval_batch_size"] = "per_device_eval_batch_size",
        ["num_epochs"] = "num_train_epochs",
        ["lr_scheduler"] = "lr_scheduler_type",
        ["optimizer"] = "optim",
        ["double_quantization"] = "bnb_4bit_use_double_quant",
        ["evaluation_strategy"] = "eval_strategy",
        ["val_set_size"] = "val_size",
        ["data"] = "dataset.path",
        ["max_samples"] = "dataset.max_samples",
        ["max_images_per_sample"] = "dataset.max_images_per_sample",
    };

    /// <summary>Keys whose values are words for values of another key: (key, value) → (standard key, standard value).</summary>
    public static readonly IReadOnlyDictionary<(string Key, string Value), (string Key, string Value)> Translations =
        new Dictionary<(string, string), (string, string)>
        {
            [("mask_prompt_tokens", "true")] = ("loss_on", "assistant_only"),
            [("mask_prompt_tokens", "false")] = ("loss_on", "all_text"),
            [("train_on_inputs", "true")] = ("loss_on", "all_text"),
            [("train_on_inputs", "false")] = ("loss_on", "assistant_only"),
            [("train_on_prompt", "true")] = ("loss_on", "all_text"),
            [("train_on_prompt", "false")] = ("loss_on", "assistant_only"),
            [("assistant_only_loss", "true")] = ("loss_on", "assistant_only"),
            [("completion_only_loss", "true")] = ("loss_on", "assistant_only"),
            [("completion_only_loss", "false")] = ("loss_on", "all_text"),
            [("precision", "bf16")] = ("bf16", "true"),
            [("precision", "bfloat16")] = ("bf16", "true"),
            [("precision", "fp16")] = ("fp16", "true"),
            [("precision", "float16")] = ("fp16", "true"),
            [("quantization_bit", "4")] = ("load_in_4bit", "true"),
            [("quantization_bit", "8")] = ("load_in_8bit", "true"),
            [("lora_target_linear", "true")] = ("target_modules", "all-linear"),
        };

    /// <summary>Keys with one answer here: the values that ask for it (any value where the list is empty).</summary>
    public static readonly IReadOnlyDictionary<string, string[]> Fixed = new Dictionary<string, string[]>
    {
        ["stage"] = ["sft"],
        ["do_train"] = ["true"],
        ["finetuning_type"] = ["lora"],
        ["adapter"] = ["lora"],
        ["template"] = ["gemma", "gemma3", "medgemma", "default"],
        ["precision"] = ["auto", "fp32", "float32"],
        ["allow_cpu"] = ["true"],
        ["use_cpu"] = ["true"],
        ["plot_loss"] = ["true"],
        ["bias"] = ["none"],
        ["task_type"] = ["CAUSAL_LM"],
        ["quantization_type"] = ["nf4"],
        ["quantization_method"] = ["bnb", "bitsandbytes"],
        ["bnb_4bit_quant_type"] = ["nf4"],
        ["bnb_4bit_compute_dtype"] = [],
        ["bnb_4bit_quant_storage"] = [],
        ["train_sampling_strategy"] = ["random"],
        ["loss_type"] = ["nll", "chunked_nll"],
        ["metric_for_best_model"] = ["loss", "eval_loss"],
        ["greater_is_better"] = ["false"],
        ["logging_strategy"] = ["steps"],
        ["run_name"] = [],
        ["gradient_checkpointing_kwargs"] = [],
        ["full_determinism"] = [],
        ["tf32"] = [],
        ["prediction_loss_only"] = [],
        ["remove_unused_columns"] = [],
        ["dataloader_num_workers"] = [],
        ["dataloader_pin_memory"] = [],
        ["preprocessing_num_workers"] = [],
        ["overwrite_cache"] = [],
        ["ddp_backend"] = [],
        ["ddp_timeout"] = [],
    };

    /// <summary>Keys that are refused when they ask for something, with the reason.</summary>
    public static readonly IReadOnlyDictionary<string, string> Unsupported = new Dictionary<string, string>
    {
        ["quantization_bit"] = "expected 4 (NF4) or 8 (8-bit rows)",
        ["use_dora"] = "DoRA adapters can be used for inference, not for training",
        ["packing"] = "batches are packed without padding already; rows are never joined into one sample",
        ["eval_packing"] = "rows are never joined into one sample",
        ["sample_packing"] = "batches are packed without padding already; rows are never joined into one sample",
        ["neftune_noise_alpha"] = "noise on embeddings is not supported",
        ["label_smoothing_factor"] = "label smoothing is not supported",
        ["push_to_hub"] = "nothing is uploaded; use the hub's own tool",
        ["modules_to_save"] = "training full copies of modules is not supported; adapters that hold them can be loaded for inference",
        ["freeze_vision_tower"] = "give target_modules a regular expression that leaves the vision tower out, e.g. '.*language_model.*_proj'",
        ["freeze_multi_modal_projector"] = "the projector gets no adapter unless target_modules names it",
        ["image_size"] = "the model's preprocessor_config.json decides; leave it out",
        ["image_max_pixels"] = "the model's preprocessor_config.json decides; leave it out",
        ["group_by_length"] = "batches hold no padding, so rows need no grouping",
        ["dataloader_drop_last"] = "the last, shorter batch of an epoch is always trained on",
        ["auto_find_batch_size"] = "choose per_device_train_batch_size; memory use does not depend on chance",
        ["logging_first_step"] = "set logging_steps: 1",
        ["evals_per_epoch"] = "use eval_strategy and eval_steps (a number below 1 is a share of all steps)",
        ["saves_per_epoch"] = "use save_strategy and save_steps (a number below 1 is a share of all steps)",
        ["save_only_model"] = "checkpoints always hold the optimiser, so that a run can go on",
        ["resume_from_checkpoint"] = "use the flag --resume [DIR]",
        ["do_predict"] = "use gemmacore predict",
        ["deepspeed"] = "one device only",
        ["fsdp"] = "one device only",
        ["dataset_dir"] = "give the whole path in the dataset block: dataset: { type: flare, path: ... }",
        ["activation_offloading"] = "there is one memory on the CPU",
    };
}
