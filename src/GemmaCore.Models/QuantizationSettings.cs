using GemmaCore.Checkpoints;

namespace GemmaCore.Models;

/// <summary>
/// <c>quantization_config</c> of a model's <c>config.json</c>: which method, so that others are refused by name, and what it makes of the linear layers. Which layers
/// those are, the tensors say themselves (<see cref="StoredCodes"/>), and what the settings say must be what the tensors hold.
/// </summary>
internal static class QuantizationSettings
{
    private const string Key = "quantization_config", BitsAndBytes = "bitsandbytes", Groups = "compressed-tensors";

    /// <summary>How the linear layers are held, for all that the configuration says; null where it does not say that they are quantised.</summary>
    /// <param name="config">The whole configuration.</param>
    /// <exception cref="CheckpointException">The method, or something about it, is not supported.</exception>
    public static WeightFormat? Read(ConfigJson config)
    {
        if (config.Object(Key) is not { } quantised) return null;
        // transformers before 4.35 did not write the method, having one only.
        bool is4Bit = quantised.Bool("load_in_4bit", false), is8Bit = quantised.Bool("load_in_8bit", false);
        string method = quantised.Text("quant_method", is4Bit || is8Bit ? BitsAndBytes : "?");
        switch (method)
        {
            case Groups:
                GroupedSettings.Check(quantised);
                return WeightFormat.Int8Group;
            case BitsAndBytes when is4Bit && is8Bit:
                throw quantised.Refuse("load_in_4bit", "is true, and so is load_in_8bit; a checkpoint is in one of them, make the other false");
            case BitsAndBytes when is8Bit:
                return WeightFormat.Int8;
            case BitsAndBytes:
                string type = quantised.Text("bnb_4bit_quant_type", "nf4");
                if (is4Bit && type != "nf4") throw quantised.Refuse("bnb_4bit_quant_type", $"'{type}' is not supported; use the original model with --quantize nf4");
                return quantised.Bool("bnb_4bit_use_double_quant", false) ? WeightFormat.Nf4 : WeightFormat.Nf4Plain;
            default:
                throw quantised.Refuse("quant_method", $"'{method}' checkpoints are not supported; use the original model with --quantize nf4 or int8");
        }
    }

    /// <summary>How layers are to be held that are dense in a checkpoint with weights: as they are if others are quantised, as with transformers, and else as was asked.</summary>
    /// <exception cref="CheckpointException">The layers hold another format than the configuration says or than was asked for, or more than one.</exception>
    public static WeightFormat OfDense(ConfigJson config, CheckpointFolder checkpoint, WeightFormat asked)
    {
        WeightFormat? said = Read(config);
        StoredFormat? held = StoredFormat.Of(checkpoint);
        if (said is { } claim && (held is null || !StoredFormat.IsSame(claim, held.Format)))
        {
            string name = StoredFormat.NameOf(claim);
            throw config.Refuse(Key, held is null
                ? $"says {name}, but no linear layer has codes of it; take it out if they are dense, or download the checkpoint again"
                : $"says {name}, but linear layers are in {StoredFormat.NameOf(held.Format)}, '{held.Tensor}' for one; correct it, or download the checkpoint again");
        }

        if (held is null) return asked;
        RefuseOther(config, held.Format, asked);
        return WeightFormat.AsStored;
    }

    /// <summary>The same for a configuration without weights, which has to be believed.</summary>
    public static WeightFormat OfAll(ConfigJson config, WeightFormat asked)
    {
        if (Read(config) is not { } said) return asked;
        RefuseOther(config, said, asked);
        return said;
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

    // Codes are not rounded a second time.
    private static void RefuseOther(ConfigJson config, WeightFormat held, WeightFormat asked)
    {
        if (asked == WeightFormat.AsStored || StoredFormat.IsSame(asked, held)) return;
        throw config.Refuse(
            Key, $"the checkpoint is quantised already, in {StoredFormat.NameOf(held)}, and {StoredFormat.NameOf(asked)} was asked for; leave that out, or name the original model");
    }
}
