using GemmaCore.Checkpoints;
using GemmaCore.Models.Gemma3;
using GemmaCore.Models.Llama;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>Opens a Hugging Face model folder as the family its <c>config.json</c> names.</summary>
public static class ModelFolder
{
    /// <summary>Loads the language model in <paramref name="folder"/>; weights stay in the mapped files.</summary>
    /// <exception cref="CheckpointException">The folder holds no model, or one that GemmaCore does not run.</exception>
    public static LanguageModel Load(string folder, Device device)
    {
        ConfigJson config = ConfigJson.Open(folder);
        if (config.Object("quantization_config") is { } quantised)
            throw quantised.Refuse("quant_method", $"'{quantised.Text("quant_method", "?")}' checkpoints cannot be loaded yet; use the unquantised model");
        string type = config.Text("model_type", "");
        switch (type)
        {
            case "gemma3" or "gemma3_text":
                return Gemma3Model.Load(Gemma3Config.Read(config), Fitting(folder, device), device);
            case "llama":
                return LlamaModel.Load(LlamaConfig.Read(config), Fitting(folder, device), device);
            default:
                throw config.Refuse("model_type", $"'{type}' is not supported; GemmaCore runs gemma3, gemma3_text and llama");
        }
    }

    // On the CPU weights stay in the mapped files and the system pages them; a card must take all of them, and saying so costs less before than half-way.
    private static CheckpointFolder Fitting(string folder, Device device)
    {
        CheckpointFolder checkpoint = CheckpointFolder.Open(folder, device);
        long needed = checkpoint.TotalBytes, free = device is CpuDevice ? long.MaxValue : device.AvailableBytes;
        if (needed <= free) return checkpoint;
        checkpoint.Dispose();
        // Sizes in bf16; what is computed with them needs room as well.
        string fits = free > 10_000_000_000 ? "a 4B model in bf16 (8.6 GB) would fit" : free > 2_500_000_000 ? "a 1B model in bf16 (2.0 GB) would fit" : "no Gemma 3 would fit";
        throw new CheckpointException($"{folder}: the weights take {Size(needed)}, and {device} has {Size(free)} free; {fits}; use --device cpu, another card, or a smaller model");

        static string Size(long bytes) => bytes < 100_000_000 ? $"{bytes / 1e6:F1} MB" : $"{bytes / 1e9:F1} GB";
    }
}
