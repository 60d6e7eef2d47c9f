using GemmaCore.Checkpoints;
using GemmaCore.Models.Gemma3;
using GemmaCore.Models.Llama;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>Opens a Hugging Face model folder as the family its <c>config.json</c> names.</summary>
public static class ModelFolder
{
    // Matrices of linear layers; norms and convolutions are never quantised, embeddings and head apart from these.
    private static readonly string[] LinearEndings = ["_proj.weight", ".fc1.weight", ".fc2.weight"], TableEndings = ["embed_tokens.weight", "lm_head.weight"];

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
        return Load(config, _ => Fitting(config, folder, device, variant), device, variant);
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

    // On the CPU weights stay in the mapped files and the system pages them; a card must take all of them, and saying so costs less before than half-way.
    private static (CheckpointFolder Checkpoint, WeightFormat Format) Fitting(ConfigJson config, string folder, Device device, ModelVariant variant)
    {
        CheckpointFolder checkpoint = CheckpointFolder.Open(folder, device);
        try
        {
            WeightFormat format = QuantizationSettings.OfDense(config, checkpoint, variant.Format);
            RequireRoom(checkpoint, device, format, variant.Tables);
            return (checkpoint, format);
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    private static void RequireRoom(CheckpointFolder checkpoint, Device device, WeightFormat format, WeightFormat tables)
    {
        long needed = BytesOf(checkpoint, format, tables), free = device is CpuDevice ? long.MaxValue : device.AvailableBytes;
        if (needed <= free) return;
        (string Options, long Bytes)[] smaller =
        [
            ("--quantize int8", BytesOf(checkpoint, WeightFormat.Int8, tables)), ("--quantize nf4", BytesOf(checkpoint, WeightFormat.Nf4, tables)),
            ("--quantize nf4 --quantize-head int8", BytesOf(checkpoint, WeightFormat.Nf4, WeightFormat.Int8)),
        ];
        smaller = Array.FindAll(smaller, one => one.Bytes < needed);
        (string Options, long Bytes) fitting = Array.Find(smaller, one => one.Bytes <= free);
        string fits = smaller.Length == 0 ? "use "
            : fitting.Options is { } options ? $"{options} would fit ({Size(fitting.Bytes)}), and so would "
            : $"not even {smaller[^1].Options} would fit ({Size(smaller[^1].Bytes)}); use ";
        // What is computed with them needs room as well.
        throw new CheckpointException($"{checkpoint.Folder}: the weights take {Size(needed)}, and {device} has {Size(free)} free; {fits}--device cpu, another card, or a smaller model");

        static string Size(long bytes) => bytes < 100_000_000 ? $"{bytes / 1e6:F1} MB" : $"{bytes / 1e9:F1} GB";
    }

    private static long BytesOf(CheckpointFolder checkpoint, WeightFormat format, WeightFormat tables)
    {
        if (format == WeightFormat.AsStored && tables == WeightFormat.AsStored) return checkpoint.TotalBytes;
        long bytes = 0;
        foreach (string name in checkpoint.Names)
        {
            if (!checkpoint.TryGet(name, out TensorView view)) continue;
            long count = view.Shape.ElementCount;
            bool Ends(string[] endings) => endings.Any(ending => name.EndsWith(ending, StringComparison.Ordinal));
            WeightFormat held = !view.DType.IsFloat() || checkpoint.HoldsCodes(name) ? WeightFormat.AsStored : Ends(TableEndings) ? tables : Ends(LinearEndings) ? format : WeightFormat.AsStored;
            bytes += held switch
            {
                WeightFormat.AsStored => view.ByteCount,
                WeightFormat.Int8 => count,
                WeightFormat.Int8Group => count + sizeof(short) * count / Int8Group.Size,
                _ => count / 2 + count / Nf4.BlockSize * (held == WeightFormat.Nf4 ? 1 : sizeof(float)),
            };
        }

        return bytes;
    }
}
