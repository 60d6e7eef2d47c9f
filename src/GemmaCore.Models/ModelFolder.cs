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
    /// <param name="folder">Hugging Face folder; linear layers may be pre-quantised by bitsandbytes.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="format">How to hold linear layers that the checkpoint has dense.</param>
    /// <param name="tables">How to hold embeddings and head that the checkpoint has dense: as stored, or in rows of 8 bits.</param>
    /// <exception cref="CheckpointException">The folder holds no model, or one that GemmaCore does not run.</exception>
    public static LanguageModel Load(string folder, Device device, WeightFormat format = WeightFormat.AsStored, WeightFormat tables = WeightFormat.AsStored)
    {
        if (tables is not (WeightFormat.AsStored or WeightFormat.Int8)) throw new ArgumentException($"embeddings and head are held as stored or in int8, not {tables}", nameof(tables));
        ConfigJson config = ConfigJson.Open(folder);
        if (config.Object("quantization_config") is { } quantised) Check(quantised);
        string type = config.Text("model_type", "");
        switch (type)
        {
            case "gemma3" or "gemma3_text":
                return Gemma3Model.Load(Gemma3Config.Read(config), Fitting(folder, device, format, tables), device, format, tables);
            case "llama":
                return LlamaModel.Load(LlamaConfig.Read(config), Fitting(folder, device, format, tables), device, format, tables);
            default:
                throw config.Refuse("model_type", $"'{type}' is not supported; GemmaCore runs gemma3, gemma3_text and llama");
        }
    }

    // What kind of quantisation it is; the tensors say the rest themselves.
    private static void Check(ConfigJson quantised)
    {
        string method = quantised.Text("quant_method", "?");
        if (method != "bitsandbytes")
            throw quantised.Refuse("quant_method", $"'{method}' checkpoints are not supported; use the original model with --quantize nf4 or int8");
        string type = quantised.Text("bnb_4bit_quant_type", "nf4");
        if (quantised.Bool("load_in_4bit", false) && type != "nf4")
            throw quantised.Refuse("bnb_4bit_quant_type", $"'{type}' is not supported; use the original model with --quantize nf4");
    }

    // On the CPU weights stay in the mapped files and the system pages them; a card must take all of them, and saying so costs less before than half-way.
    private static CheckpointFolder Fitting(string folder, Device device, WeightFormat format, WeightFormat tables)
    {
        CheckpointFolder checkpoint = CheckpointFolder.Open(folder, device);
        long needed = BytesOf(checkpoint, format, tables), free = device is CpuDevice ? long.MaxValue : device.AvailableBytes;
        if (needed <= free) return checkpoint;
        long int8 = BytesOf(checkpoint, WeightFormat.Int8, tables), nf4 = BytesOf(checkpoint, WeightFormat.Nf4, tables);
        checkpoint.Dispose();
        string fits = format != WeightFormat.AsStored ? "use "
            : int8 <= free ? $"--quantize int8 would fit ({Size(int8)}), and so would "
            : nf4 <= free ? $"--quantize nf4 would fit ({Size(nf4)}), and so would "
            : $"not even --quantize nf4 would fit ({Size(nf4)}); use ";
        // What is computed with them needs room as well.
        throw new CheckpointException($"{folder}: the weights take {Size(needed)}, and {device} has {Size(free)} free; {fits}--device cpu, another card, or a smaller model");

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
            WeightFormat held = !view.DType.IsFloat() ? WeightFormat.AsStored : Ends(TableEndings) ? tables : Ends(LinearEndings) ? format : WeightFormat.AsStored;
            bytes += held switch
            {
                WeightFormat.AsStored => view.ByteCount,
                WeightFormat.Int8 => count,
                _ => count / 2 + count / Nf4.BlockSize * (held == WeightFormat.Nf4 ? 1 : sizeof(float)),
            };
        }

        return bytes;
    }
}
