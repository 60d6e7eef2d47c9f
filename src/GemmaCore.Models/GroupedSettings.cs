using GemmaCore.Checkpoints;
using GemmaCore.Ops;

namespace GemmaCore.Models;

/// <summary>
/// What compressed-tensors says of a checkpoint in groups of 8 bits. Its settings can ask for much that is computed otherwise, or not at all, here: each of them is
/// refused by name. What a key means that is not there, is as in that library.
/// </summary>
internal static class GroupedSettings
{
    private const string Remedy = "use the original model with --quantize int8-128";

    /// <exception cref="CheckpointException">They are not of signed 8-bit codes with a scale for every 128 inputs.</exception>
    public static void Check(ConfigJson settings)
    {
        Expect(settings, "format", "\"int-quantized\"");
        RefuseAny(settings, "kv_cache_scheme");
        // An empty object is written where there is none of it.
        foreach (string key in (string[])["sparsity_config", "transform_config"])
        {
            if (settings.Raw(key) is { } text && text != "{}") throw Refusal(settings, key, text, "none");
        }

        if (settings.Object("config_groups") is not { } groups || groups.Keys.ToArray() is not [var first, .. var more])
            throw settings.Refuse("config_groups", "is missing or empty, so that nothing says how the weights are quantised");
        if (more.Length > 0) throw groups.Refuse(more[0], $"is a second group of settings beside {first}, which is not supported; {Remedy}");
        ConfigJson group = groups.Object(first) ?? throw groups.Refuse(first, "is empty");
        RefuseAny(group, "input_activations");
        RefuseAny(group, "output_activations");
        Expect(group, "format", "\"int-quantized\"", absent: true);
        ConfigJson weights = group.Object("weights") ?? throw group.Refuse("weights", "is missing, so that nothing says how the weights are quantised");
        Expect(weights, "num_bits", "8", absent: true);
        Expect(weights, "type", "\"int\"", absent: true);
        Expect(weights, "symmetric", "true", absent: true);
        Expect(weights, "dynamic", "false", absent: true);
        Expect(weights, "strategy", "\"group\"", absent: true);
        Expect(weights, "group_size", $"{Int8Group.Size}");
        RefuseAny(weights, "actorder");
    }

    private static void Expect(ConfigJson settings, string key, string expected, bool absent = false)
    {
        string? text = settings.Raw(key);
        if (text == expected || (text is null && absent)) return;
        throw Refusal(settings, key, text ?? "none", expected);
    }

    private static void RefuseAny(ConfigJson settings, string key)
    {
        if (settings.Raw(key) is { } text) throw Refusal(settings, key, text, "none");
    }

    private static CheckpointException Refusal(ConfigJson settings, string key, string found, string expected) =>
        settings.Refuse(key, $"{found.Replace('"', '\'')} of compressed-tensors is not supported, only {expected.Replace('"', '\'')}; {Remedy}");
}
