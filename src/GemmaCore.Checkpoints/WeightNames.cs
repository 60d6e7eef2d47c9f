namespace GemmaCore.Checkpoints;

/// <summary>How a checkpoint or adapter spells its tensor names.</summary>
public enum NameGeneration
{
    /// <summary>Files on the hub, transformers up to 4.51: <c>language_model.model.…</c>.</summary>
    First,

    /// <summary>transformers 4.52 to 5.5: <c>model.language_model.…</c>. GemmaCore's canonical spelling.</summary>
    Second,

    /// <summary>transformers from 5.6: as the second, but without <c>vision_model.</c> in the tower.</summary>
    Third,

    /// <summary>Text-only checkpoints: <c>model.…</c>.</summary>
    TextOnly,
}

/// <summary>Translates tensor and module names of every generation to one spelling, the second, and back (gemma3.md §2.2).</summary>
public static class WeightNames
{
    /// <summary>Every generation, the canonical one first.</summary>
    internal static readonly NameGeneration[] Generations = [NameGeneration.Second, NameGeneration.First, NameGeneration.Third, NameGeneration.TextOnly];

    private const string Text = "model.language_model.", Vision = "model.vision_tower.vision_model.", Projector = "model.multi_modal_projector.";

    // Buffers that old writers stored although they are computed, and a pooling head that no Gemma 3 has.
    private static readonly string[] IgnoredEndings = ["rotary_emb.inv_freq", "embeddings.position_ids", "logit_scale", "logit_bias"];

    /// <summary>The canonical spelling, or null for tensors that are to be ignored.</summary>
    public static string? Canonical(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (IgnoredEndings.Any(ending => name.EndsWith(ending, StringComparison.Ordinal))) return null;
        string rest = name;
        bool inModel = Strip(ref rest, "model.");
        if (rest.StartsWith("lm_head.", StringComparison.Ordinal)) return rest;
        if (Strip(ref rest, "language_model."))
        {
            if (rest.StartsWith("lm_head.", StringComparison.Ordinal)) return rest;
            Strip(ref rest, "model.");
            return Text + rest;
        }

        if (Strip(ref rest, "vision_tower.") || rest.StartsWith("vision_model.", StringComparison.Ordinal))
        {
            Strip(ref rest, "vision_tower.");
            Strip(ref rest, "vision_model.");
            return rest.StartsWith("head.", StringComparison.Ordinal) ? null : Vision + rest;
        }

        if (Strip(ref rest, "multi_modal_projector.")) return Projector + rest;
        return inModel ? Text + rest : name;
    }

    /// <summary>A canonical name in another generation's spelling.</summary>
    public static string ToGeneration(string canonical, NameGeneration generation)
    {
        ArgumentNullException.ThrowIfNull(canonical);
        string rest = canonical;
        if (Strip(ref rest, Text))
        {
            return generation switch
            {
                NameGeneration.First => "language_model.model." + rest,
                NameGeneration.TextOnly => "model." + rest,
                _ => canonical,
            };
        }

        if (Strip(ref rest, Vision))
        {
            return generation switch
            {
                NameGeneration.First => "vision_tower.vision_model." + rest,
                NameGeneration.Third => "model.vision_tower." + rest,
                _ => canonical,
            };
        }

        if (Strip(ref rest, Projector)) return generation == NameGeneration.First ? "multi_modal_projector." + rest : canonical;
        return generation == NameGeneration.First && canonical.StartsWith("lm_head", StringComparison.Ordinal) ? "language_model." + canonical : canonical;
    }

    private static bool Strip(ref string name, string prefix)
    {
        if (!name.StartsWith(prefix, StringComparison.Ordinal)) return false;
        name = name[prefix.Length..];
        return true;
    }
}
