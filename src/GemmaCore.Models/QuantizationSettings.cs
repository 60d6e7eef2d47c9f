using GemmaCore.Checkpoints;
using GemmaCore.Ops;

namespace GemmaCore.Models;

/// <summary>
/// <c>quantization_config</c> of a model's <c>config.json</c>: which method, so that others are refused by name, and what it makes of the linear layers. Which layers
/// those are, the tensors say themselves (<see cref="StoredCodes"/>).
/// </summary>
internal static class QuantizationSettings
{
    private const string Key = "quantization_config", BitsAndBytes = "bitsandbytes", Groups = "compressed-tensors";

    /// <summary>How the linear layers are held; null where the checkpoint is not quantised.</summary>
    /// <param name="config">The whole configuration.</param>
    /// <param name="asked">How somebody wants them held: codes are not rounded a second time, so it is the same or <see cref="WeightFormat.AsStored"/>.</param>
    /// <exception cref="CheckpointException">The method is not supported, or it is another than was asked for.</exception>
    public static WeightFormat? Read(ConfigJson config, WeightFormat asked)
    {
        if (config.Object(Key) is not { } quantised) return null;
        // transformers before 4.35 did not write the method, having one only.
        bool is4Bit = quantised.Bool("load_in_4bit", false), is8Bit = quantised.Bool("load_in_8bit", false);
        string method = quantised.Text("quant_method", is4Bit || is8Bit ? BitsAndBytes : "?");
        WeightFormat held = method switch
        {
            Groups => WeightFormat.Int8Group,
            BitsAndBytes when is8Bit => WeightFormat.Int8,
            BitsAndBytes => quantised.Bool("bnb_4bit_use_double_quant", false) ? WeightFormat.Nf4 : WeightFormat.Nf4Plain,
            _ => throw quantised.Refuse("quant_method", $"'{method}' checkpoints are not supported; use the original model with --quantize nf4 or int8"),
        };
        string format = quantised.Text("format", "?"), type = quantised.Text("bnb_4bit_quant_type", "nf4");
        if (method == Groups && format != "int-quantized")
            throw quantised.Refuse("format", $"'{format}' of compressed-tensors is not supported, only 'int-quantized' in groups of {Int8Group.Size}");
        if (is4Bit && type != "nf4") throw quantised.Refuse("bnb_4bit_quant_type", $"'{type}' is not supported; use the original model with --quantize nf4");
        if (asked != WeightFormat.AsStored && NameOf(asked) != NameOf(held))
            throw config.Refuse(Key, $"the checkpoint is quantised already, in {NameOf(held)}, and {NameOf(asked)} was asked for; leave that out, or name the original model");
        return held;
    }

    /// <summary>
    /// Canonical paths of modules, or parts of paths, whose layers bitsandbytes left dense. Where there are weights, they say it themselves; the head is left out, because a
    /// dense one is held as somebody asks.
    /// </summary>
    public static IReadOnlyList<string> LeftDense(ConfigJson config) =>
    [
        .. (config.Object(Key)?.TextList("llm_int8_skip_modules") ?? []).Select(name => WeightNames.Canonical(name + ".")).OfType<string>()
            .Select(name => name.TrimEnd('.')).Where(name => name is not ("" or "lm_head")),
    ];

    private static string NameOf(WeightFormat format) => format switch
    {
        WeightFormat.Int8 => "int8",
        WeightFormat.Int8Group => "int8-128",
        _ => "nf4",
    };
}
