namespace GemmaCore.Evaluation;

/// <summary>Lists names in a message without flooding it.</summary>
internal static class FirstTen
{
    private const int Most = 10;

    public static string Of(IReadOnlyCollection<string> names) =>
        string.Join(", ", names.Take(Most)) + (names.Count > Most ? $" and {names.Count - Most} more" : "");
}
