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
                return Gemma3Model.Load(Gemma3Config.Read(config), CheckpointFolder.Open(folder, device), device);
            case "llama":
                return LlamaModel.Load(LlamaConfig.Read(config), CheckpointFolder.Open(folder, device), device);
            default:
                throw config.Refuse("model_type", $"'{type}' is not supported; GemmaCore runs gemma3, gemma3_text and llama");
        }
    }
}
