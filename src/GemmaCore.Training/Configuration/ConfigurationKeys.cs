namespace GemmaCore.Training.Configuration;

/// <summary>Spellings: other tools' names for our keys, and keys that mean something but cannot be honoured here.</summary>
internal static class ConfigurationKeys
{
    /// <summary>LLaMA-Factory, axolotl, FLARE and older Hugging Face names → the standard spelling.</summary>
    public static readonly IReadOnlyDictionary<string, string> Aliases = new Dictionary<string, string>
    {
        ["base_model"] = "model_name_or_path",
        ["model"] = "model_name_or_path",
        ["lora_r"] = "lora_rank",
        ["r"] = "lora_rank",
        ["lora_target"] = "target_modules",
        ["lora_target_modules"] = "target_modules",
        ["cutoff_len"] = "max_length",
        ["sequence_len"] = "max_length",
        ["max_seq_length"] = "max_length",
        ["micro_batch_size"] = "per_device_train_batch_size",
        ["num_epochs"] = "num_train_epochs",
        ["lr_scheduler"] = "lr_scheduler_type",
        ["optimizer"] = "optim",
        ["plot_loss"] = "",
        ["overwrite_output_dir"] = "",
        ["stage"] = "",
        ["finetuning_type"] = "",
        ["template"] = "",
        ["adapter"] = "",
        ["allow_cpu"] = "",
        ["precision"] = "",
        ["image_size"] = "",
        ["resize_mode"] = "",
    };

    /// <summary>Keys that are refused when they ask for something, with the reason.</summary>
    public static readonly IReadOnlyDictionary<string, string> Unsupported = new Dictionary<string, string>
    {
        ["load_in_4bit"] = "quantised base weights are not available yet; leave it out to train on the dense weights",
        ["load_in_8bit"] = "quantised base weights are not available yet; leave it out to train on the dense weights",
        ["quantization_bit"] = "quantised base weights are not available yet; leave it out to train on the dense weights",
        ["use_dora"] = "DoRA adapters can be used for inference, not for training",
        ["packing"] = "batches are packed without padding already; rows are never joined into one sample",
        ["neftune_noise_alpha"] = "noise on embeddings is not supported",
        ["label_smoothing_factor"] = "label smoothing is not supported",
        ["bf16"] = "the CPU computes in fp32; leave it out",
        ["fp16"] = "the CPU computes in fp32; leave it out",
        ["push_to_hub"] = "nothing is uploaded; use the hub's own tool",
        ["modules_to_save"] = "training full copies of modules is not supported; adapters that hold them can be loaded for inference",
    };
}
