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
        throw new CheckpointException(
            $"{folder}: the weights take {needed / 1e9:F1} GB, and {device} has {free / 1e9:F1} GB free; use --device cpu, another card, or a smaller model");
    }
}
