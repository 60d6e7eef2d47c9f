using System.Text.Json;

namespace GemmaCore.Evaluation.Judges;

/// <summary>CRIMSON of one report, from what its judge found (arXiv 2603.06183; flare.md §8.3).</summary>
public static class CrimsonVerdict
{
    private const int Decimals = 4; // as the published package rounds each report's score

    private static readonly Dictionary<string, double> Weights = new()
    {
        ["urgent"] = 1,
        ["actionable_not_urgent"] = 0.5,
        ["not_actionable_not_urgent"] = 0.25,
        ["benign_expected"] = 0,
    };

    private static readonly Dictionary<string, double> AttributeWeights = new() { ["significant"] = 0.5, ["negligible"] = 0 };

    /// <summary>The score, above -1 and up to 1; null where the answer cannot be read, which leaves the report out.</summary>
    /// <param name="answer">The judge's answer: JSON, fenced or with words around it.</param>
    public static double? Score(string answer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        if (AnswerText.Decode(EmbeddedJson.Of(answer)) is not { ValueKind: JsonValueKind.Object } json) return null;
        try
        {
            return Math.Round(Score(json), Decimals);
        }
        catch (Exception error) when (error is KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private static double Score(JsonElement json)
    {
        JsonElement errors = json.GetProperty("errors");
        Dictionary<string, double> references = Findings(json.GetProperty("reference_findings")), predictions = Findings(json.GetProperty("predicted_findings"));
        // Ids that stand for nothing weigh nothing.
        double invented = List(errors, "false_findings").Sum(id => predictions.GetValueOrDefault(Id(id))), missed = List(errors, "missing_findings").Sum(id => references.GetValueOrDefault(Id(id)));
        ILookup<string, double> attributes = List(errors, "attribute_errors").ToLookup(error => Text(error, "ref_id"), error => AttributeWeights[Text(error, "severity")]);
        JsonElement[] matches = [.. json.GetProperty("matched_findings").EnumerateArray()];
        double correct = matches.Select(match => Text(match, "ref_id")).Distinct().Sum(id => Credit(references.GetValueOrDefault(id), attributes[id].Sum()));
        double mass = references.Count > 0 ? references.Values.Sum() : matches.Length + missed;
        double score = mass > 0 ? (correct - invented) / mass : invented == 0 && missed == 0 ? 1 : -1;
        double excess = invented - correct;
        return score >= 0 ? score : excess > 0 ? -excess / (1 + excess) : 0;
    }

    // A finding of weight b with attribute errors a counts b·b/(b+a).
    private static double Credit(double weight, double attributes) => weight + attributes > 0 ? weight * weight / (weight + attributes) : 0;

    private static Dictionary<string, double> Findings(JsonElement list)
    {
        var weights = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (JsonElement finding in list.EnumerateArray()) weights[Text(finding, "id")] = Weights[Text(finding, "clinical_significance")];
        return weights;
    }

    private static JsonElement[] List(JsonElement errors, string key) => errors.TryGetProperty(key, out JsonElement list) ? [.. list.EnumerateArray()] : [];

    private static string Id(JsonElement id) => id.GetString() ?? throw new FormatException("an id is null");

    private static string Text(JsonElement item, string key) => item.GetProperty(key).GetString() ?? throw new FormatException($"{key} is null");
}
