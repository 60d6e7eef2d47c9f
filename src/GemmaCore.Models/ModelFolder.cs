using GemmaCore.Checkpoints;
using GemmaCore.Models.Gemma3;
using GemmaCore.Models.Llama;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>Opens a Hugging Face model folder as the family its <c>config.json</c> names.</summary>
public static class ModelFolder
{
    // Matrices of linear layers; embeddings, heads, norms and convolutions are not quantised.
    private static readonly string[] LinearEndings = ["_proj.weight", ".fc1.weight", ".fc2.weight"];

    /// <summary>Loads the language model in <paramref name="folder"/>; weights stay in the mapped files, unless they are quantised or go to a card.</summary>
    /// <param name="folder">Hugging Face folder; linear layers may be pre-quantised by bitsandbytes.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="format">How to hold linear layers that the checkpoint has dense.</param>
    /// <exception cref="CheckpointException">The folder holds no model, or one that GemmaCore does not run.</exception>
    public static LanguageModel Load(string folder, Device device, WeightFormat format = WeightFormat.AsStored)
    {
        ConfigJson config = ConfigJson.Open(folder);
        if (config.Object("quantization_config") is { } quantised) Check(quantised);
        string type = config.Text("model_type", "");
        switch (type)
        {
            case "gemma3" or "gemma3_text":
                return Gemma3Model.Load(Gemma3Config.Read(config), Fitting(folder, device, format), device, format);
            case "llama":
                return LlamaModel.Load(LlamaConfig.Read(config), Fitting(folder, device, format), device, format);
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
    private static CheckpointFolder Fitting(string folder, Device device, WeightFormat format)
    {
        CheckpointFolder checkpoint = CheckpointFolder.Open(folder, device);
        long needed = BytesOf(checkpoint, format), free = device is CpuDevice ? long.MaxValue : device.AvailableBytes;
        if (needed <= free) return checkpoint;
        checkpoint.Dispose();
        string smaller = format switch
        {
            WeightFormat.AsStored => "--quantize int8 or nf4, ",
            WeightFormat.Int8 => "--quantize nf4, ",
            _ => "",
        };
        // Sizes in bf16; what is computed with them needs room as well.
        string fits = free > 10_000_000_000 ? "a 4B model in bf16 (8.6 GB) would fit" : free > 2_500_000_000 ? "a 1B model in bf16 (2.0 GB) would fit" : "no Gemma 3 in bf16 would fit";
        throw new CheckpointException(
            $"{folder}: the weights take {Size(needed)}, and {device} has {Size(free)} free; {fits}; use {smaller}--device cpu, another card, or a smaller model");

        static string Size(long bytes) => bytes < 100_000_000 ? $"{bytes / 1e6:F1} MB" : $"{bytes / 1e9:F1} GB";
    }

    private static long BytesOf(CheckpointFolder checkpoint, WeightFormat format)
    {
        if (format == WeightFormat.AsStored) return checkpoint.TotalBytes;
        long bytes = 0;
        foreach (string name in checkpoint.Names)
        {
            if (!checkpoint.TryGet(name, out TensorView view)) continue;
            long count = view.Shape.ElementCount;
            if (!view.DType.IsFloat() || !LinearEndings.Any(ending => name.EndsWith(ending, StringComparison.Ordinal))) bytes += view.ByteCount;
            else bytes += format == WeightFormat.Int8 ? count : count / 2 + count / Nf4.BlockSize * (format == WeightFormat.Nf4 ? 1 : sizeof(float));
        }

        return bytes;
    }
}
