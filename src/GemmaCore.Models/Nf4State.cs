using System.Text.Json;
using GemmaCore.Checkpoints;
using GemmaCore.Ops;

namespace GemmaCore.Models;

/// <summary>What bitsandbytes notes beside a 4-bit tensor (its <c>quant_state</c>).</summary>
/// <param name="Shape">Sizes before packing, e.g. <c>[128, 384]</c>.</param>
/// <param name="NestedOffset">Mean of the magnitudes when they are quantised too.</param>
internal sealed record Nf4State(string Shape, float? NestedOffset)
{
    private const string Nothing = "nothing";

    /// <exception cref="CheckpointException">It is damaged, or of codes other than NF4 in blocks of 64.</exception>
    public static Nf4State Parse(ReadOnlySpan<byte> json, Func<string, CheckpointException> refuse)
    {
        try
        {
            var reader = new Utf8JsonReader(json);
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            if (document.RootElement.ValueKind == JsonValueKind.Object) return Read(document.RootElement, refuse);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // Where the text breaks off says nothing to whoever has the file. InvalidOperationException: a string that is not UTF-8.
        }

        throw refuse("has a quant_state that cannot be read: it is not a JSON object; download the checkpoint again, or quantise the original model");
    }

    private static Nf4State Read(JsonElement root, Func<string, CheckpointException> refuse)
    {
        Expect(root, "quant_type", "nf4", refuse);
        Expect(root, "blocksize", $"{Nf4.BlockSize}", refuse);
        string sizes = TextOf(root, "shape");
        if (sizes == Nothing) throw refuse("has no shape in its quant_state; download the checkpoint again, or quantise the original model");
        if (!root.TryGetProperty("nested_offset", out JsonElement offset)) return new Nf4State(sizes, null);
        Expect(root, "nested_blocksize", $"{Nf4.NestedBlockSize}", refuse);
        Expect(root, "nested_dtype", "float32", refuse);
        return offset.ValueKind == JsonValueKind.Number && offset.TryGetDouble(out double mean) && float.IsFinite((float)mean)
            ? new Nf4State(sizes, (float)mean)
            : throw refuse($"has nested_offset {TextOf(root, "nested_offset")} in its quant_state, expected a number");
    }

    private static void Expect(JsonElement root, string key, string value, Func<string, CheckpointException> refuse)
    {
        string found = TextOf(root, key);
        if (found != value) throw refuse($"has {key} {found} in its quant_state, expected {value}");
    }

    // As Python writes a list, whoever wrote this one; cut where it is long.
    private static string TextOf(JsonElement root, string key)
    {
        if (!root.TryGetProperty(key, out JsonElement element)) return Nothing;
        string text = element.ValueKind == JsonValueKind.Array ? $"[{string.Join(", ", element.EnumerateArray().Select(item => item.GetRawText()))}]" : element.ToString();
        return text.Length > 60 ? text[..60] + "…" : text;
    }
}
