using System.Text.Json;

namespace GemmaCore.Evaluation;

/// <summary>The rules of the challenge's own scorer (flare.md §7.1). Rows without a prediction are left out.</summary>
public static class OfficialRules
{
    private const double Threshold = 0.5;
    private static readonly char[] LabelSeparators = [';', ','];

    /// <summary>One scoring for each task but reports.</summary>
    public static TaskScoring[] Scorings() =>
    [
        new ClassScoring(Plain, text => text is null ? null : Plain(text)),
        new LabelScoring(Labels, micro: true, skipEmptyReferences: false, skipMissing: true),
        new BoxScoring("detection", [Threshold], Detection),
        new BoxScoring("instance_detection", [Threshold], InstanceDetection),
        new NumberScoring(TaskType.Counting, Number, Number, NoNumber.MakesErrorInfinite),
        new NumberScoring(TaskType.Regression, Number, Number, NoNumber.MakesErrorInfinite),
    ];

    /// <summary>The labels of an answer: parts between semicolons and commas, in lower case.</summary>
    public static IReadOnlySet<string> Labels(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Split(LabelSeparators).Select(Plain).Where(label => label.Length > 0).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>
    /// The entries of a list of boxes, as the scorer goes through it. An entry that is no box of four numbers takes part with an IoU of 0: so a flat
    /// <c>[a, b, c, d]</c> is four false positives.
    /// </summary>
    /// <param name="text">The answer.</param>
    /// <param name="entries">The entries; null where the answer is a literal but no list (a tuple is none).</param>
    /// <returns>False where the text is no Python literal.</returns>
    public static bool TryReadBoxes(string text, out IReadOnlyList<Box>? entries)
    {
        entries = null;
        if (!PythonLiteral.TryParse(text, out object? value)) return false;
        if (value is List<object?> list) entries = [.. list.Select(Entry)];
        return true;
    }

    private static string Plain(string text) => text.Trim().ToLowerInvariant();

    private static double? Number(string text) => PythonFloat.TryParse(text, out double value) ? value : null;

    private static BoxCounts? Detection(EvaluationRow row)
    {
        if (row.Prediction is null || !PythonLiteral.TryParse(row.Reference, out object? reference) || !TryReadBoxes(row.Prediction, out IReadOnlyList<Box>? given)) return null;
        // What the scorer goes through as references may be a tuple as well.
        if (reference is not IEnumerable<object?> boxes) return null;
        Box[] expected = [.. boxes.Select(Entry)];
        int matched = BoxMatching.InOrder(expected, given ?? [], Threshold);
        return new BoxCounts(expected, given, [matched]);
    }

    // Inside each key the pair with the largest IoU first, at or above the threshold. An answer cut off in the middle is no JSON and leaves its row out.
    private static BoxCounts? InstanceDetection(EvaluationRow row)
    {
        if (row.Prediction is null || AnswerText.Json(row.Reference) is not { ValueKind: JsonValueKind.Object } reference || Keyed(reference) is not { } expected) return null;
        if (AnswerText.Json(row.Prediction) is not { } prediction) return null;
        if (prediction.ValueKind != JsonValueKind.Object) return new BoxCounts(expected, null, [0]);
        if (Keyed(prediction) is not { } given) return null;
        ILookup<string, Box> byKey = BoxMatching.ByLabel(given);
        int matched = BoxMatching.ByLabel(expected).Sum(group => BoxMatching.BestPairs([.. group], [.. byKey[group.Key]], [Threshold])[0]);
        return new BoxCounts(expected, given, [matched]);
    }

    // Under a key the scorer goes through whatever has a length; what is in there and no box of four numbers counts with an IoU of 0.
    private static List<Box>? Keyed(JsonElement json)
    {
        var boxes = new List<Box>();
        foreach (JsonProperty entry in AnswerText.Members(json))
        {
            switch (entry.Value.ValueKind)
            {
                case JsonValueKind.Array:
                    boxes.AddRange(entry.Value.EnumerateArray().Select(box => Four(box) is [var x1, var y1, var x2, var y2] ? new Box(x1, y1, x2, y2, entry.Name) : Box.None with { Label = entry.Name }));
                    break;
                case JsonValueKind.Object or JsonValueKind.String:
                    int entries = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()!.Length : AnswerText.Members(entry.Value).Count();
                    boxes.AddRange(Enumerable.Repeat(Box.None with { Label = entry.Name }, entries));
                    break;
                default: return null;
            }
        }

        return boxes;
    }

    private static double[]? Four(JsonElement box) =>
        box.ValueKind == JsonValueKind.Array && box.GetArrayLength() == 4 && box.EnumerateArray().All(number => number.ValueKind == JsonValueKind.Number)
            ? [.. box.EnumerateArray().Select(number => number.GetDouble())]
            : null;

    private static Box Entry(object? entry) => entry is IReadOnlyList<object?> { Count: 4 } four && four.All(number => number is double)
        ? new Box((double)four[0]!, (double)four[1]!, (double)four[2]!, (double)four[3]!, null)
        : Box.None;
}
