using GemmaCore.Checkpoints;
using GemmaCore.Models.Gemma3;
using GemmaCore.Models.Llama;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>Opens a Hugging Face model folder as the family its <c>config.json</c> names.</summary>
public static class ModelFolder
{
    /// <summary>Loads the language model in <paramref name="folder"/>; weights stay in the mapped files, unless they are quantised or go to a card.</summary>
    /// <param name="folder">Hugging Face folder; linear layers may be pre-quantised by bitsandbytes, or by <see cref="QuantizedCheckpoint"/>.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="format">How to hold linear layers that the checkpoint has dense.</param>
    /// <param name="tables">How to hold embeddings and head that the checkpoint has dense: as stored, or in rows of 8 bits.</param>
    /// <exception cref="CheckpointException">The folder holds no model, or one that GemmaCore does not run.</exception>
    public static LanguageModel Load(string folder, Device device, WeightFormat format = WeightFormat.AsStored, WeightFormat tables = WeightFormat.AsStored) =>
        Load(folder, device, new ModelVariant(format, tables));

    /// <summary>As the other one.</summary>
    public static LanguageModel Load(string folder, Device device, ModelVariant variant)
    {
        ArgumentNullException.ThrowIfNull(variant);
        WeightFormat tables = variant.Tables;
        if (tables is not (WeightFormat.AsStored or WeightFormat.Int8)) throw new ArgumentException($"embeddings and head are held as stored or in int8, not {tables}", nameof(variant));
        ConfigJson config = ConfigJson.Open(folder);
        return Load(config, _ => Open(config, folder, device, variant), device, variant);
    }

    /// <summary>
    /// The model in <paramref name="folder"/> on a device that computes nothing (<see cref="Device.IsRehearsal"/>). Weights are not read: what a folder with
    /// weights says of them in its headers counts, of one without them the configuration.
    /// </summary>
    /// <exception cref="CheckpointException">As for <see cref="Load(string, Device, ModelVariant)"/>.</exception>
    public static LanguageModel Rehearse(string folder, Device device, ModelVariant variant)
    {
        ArgumentNullException.ThrowIfNull(folder);
        return Directory.Exists(folder) && Directory.EnumerateFiles(folder, "*.safetensors").Any()
            ? Load(folder, device, variant)
            : Rehearse(ConfigJson.Open(folder), folder, device, variant);
    }

    /// <summary>As the other one, of a preset.</summary>
    public static LanguageModel Rehearse(ModelPreset preset, Device device, ModelVariant variant)
    {
        ArgumentNullException.ThrowIfNull(preset);
        return Rehearse(ConfigJson.Of(preset.Config, preset.Name), preset.Name, device, variant);
    }

    private static LanguageModel Rehearse(ConfigJson config, string name, Device device, ModelVariant variant)
    {
        ArgumentNullException.ThrowIfNull(variant);
        if (!device.IsRehearsal) throw new ArgumentException("a model without weights can only be rehearsed", nameof(device));
        WeightFormat format = QuantizationSettings.OfAll(config, variant.Format);
        string type = config.Text("dtype", config.Text("torch_dtype", config.Object("text_config") is { } text ? text.Text("torch_dtype", "bfloat16") : "bfloat16"));
        DType dtype = type switch
        {
            "float32" => DType.F32,
            "float16" => DType.F16,
            "bfloat16" => DType.BF16,
            _ => throw config.Refuse("torch_dtype", $"'{type}' is not supported; expected float32, float16 or bfloat16"),
        };
        return Load(config, optional => (CheckpointFolder.Hollow(name, dtype, optional, QuantizationSettings.LeftDense(config)), format), device, variant);
    }

    // What opens the checkpoint is told of tensors that the configuration speaks of and that other models of the family do without; it says how to hold dense layers.
    private static LanguageModel Load(
        ConfigJson config, Func<IReadOnlyDictionary<string, Shape>, (CheckpointFolder Checkpoint, WeightFormat Format)> open, Device device, ModelVariant variant)
    {
        string type = config.Text("model_type", "");
        switch (type)
        {
            case "gemma3" or "gemma3_text":
                Gemma3Config gemma = Gemma3Config.Read(config);
                if (variant.ImageTokens > 0) gemma = gemma with { MmTokensPerImage = variant.ImageTokens };
                var head = new Shape(gemma.VocabSize, gemma.HiddenSize);
                (CheckpointFolder checkpoint, WeightFormat format) = open(gemma.TieWordEmbeddings ? new Dictionary<string, Shape>() : new() { [LanguageModel.HeadName] = head });
                return Gemma3Model.Load(gemma, checkpoint, device, format, variant.Tables);
            case "llama":
                var llama = LlamaConfig.Read(config);
                (checkpoint, format) = open(new Dictionary<string, Shape>());
                return LlamaModel.Load(llama, checkpoint, device, format, variant.Tables);
            default:
                throw config.Refuse("model_type", $"'{type}' is not supported; GemmaCore runs gemma3, gemma3_text and llama");
        }
    }

    private static (CheckpointFolder Checkpoint, WeightFormat Format) Open(ConfigJson config, string folder, Device device, ModelVariant variant)
    {
        CheckpointFolder checkpoint = CheckpointFolder.Open(folder, device);
        try
        {
            return (checkpoint, QuantizationSettings.OfDense(config, checkpoint, variant.Format));
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }
}
