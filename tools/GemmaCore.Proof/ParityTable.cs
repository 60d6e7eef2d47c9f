using System.Text.Json;
using System.Text.RegularExpressions;
using GemmaCore.Testing;

namespace GemmaCore.Proof;

/// <summary>The table of all golden comparisons, from the lines that the golden tests left.</summary>
internal static partial class ParityTable
{
    // Golden files that a test run does not compare, and why.
    private static readonly Dictionary<string, string> Elsewhere = new()
    {
        ["real/medgemma_4b.json"] = "by its own command, `tools/parity_4b.sh`",
        ["model/reduced_precision_floor.json"] = "a bar for 16-bit arithmetic; the CPU computes in fp32",
    };

    private sealed record Row(string Topic, string File, string What, int Cases, double Error, double? Tolerance, bool Held);

    public static int Print(string log)
    {
        Row[] rows = [.. File.ReadLines(log).Select(line => JsonSerializer.Deserialize<ParityLine>(line)!)
            .GroupBy(line => (line.Topic, line.File, What: StepNumber().Replace(line.What, Steps))).Select(Merge)];
        Circumstances.Print("tools/parity.sh");
        Console.WriteLine("| topic | file | compared | cases | largest error | tolerance | |");
        Console.WriteLine("|---|---|---|---:|---:|---:|---|");
        int outside = 0, absent = 0;
        var known = new HashSet<string>();
        using JsonDocument manifest = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("manifest.json")));
        foreach (JsonElement entry in manifest.RootElement.GetProperty("files").EnumerateArray())
        {
            string topic = entry.GetProperty("topic").GetString()!, file = entry.GetProperty("file").GetString()!;
            known.Add(file);
            Row[] found = [.. rows.Where(row => row.File == file).OrderBy(row => row.What, StringComparer.Ordinal)];
            foreach (Row row in found) Console.WriteLine(Format(row));
            outside += found.Count(row => !row.Held);
            if (found.Length > 0) continue;
            bool excused = Elsewhere.TryGetValue(file, out string? reason);
            Console.WriteLine($"| {topic} | {file} | {reason ?? "nothing: its test did not run"} | | | | {(excused ? "not in this table" : "**no result**")} |");
            absent += excused ? 0 : 1;
        }

        // A row that no file of the manifest has would be counted and not seen.
        foreach (Row row in rows.Where(row => !known.Contains(row.File)))
        {
            Console.WriteLine($"| {row.Topic} | {row.File} | {row.What} | | | | **not in the manifest** |");
            absent++;
        }

        Console.WriteLine($"\n{rows.Length} comparisons: {rows.Length - outside} within tolerance, {outside} outside; golden files without a result, or results without a file: {absent}.");
        return outside + absent == 0 ? 0 : 1;
    }

    private static Row Merge(IGrouping<(string Topic, string File, string What), ParityLine> lines) => new(
        lines.Key.Topic, lines.Key.File, lines.Key.What, lines.Sum(line => line.Cases), lines.First().Tolerance is null ? lines.Sum(line => line.Error) : lines.Max(line => line.Error),
        lines.Max(line => line.Tolerance), lines.All(line => line.Error <= (line.Tolerance ?? 0)));

    private static string Format(Row row)
    {
        string error = row.Tolerance is null ? $"{row.Cases - (int)row.Error} of {row.Cases} equal" : $"{row.Error:0.0E+0}";
        string tolerance = row.Tolerance is { } allowed ? $"{allowed:0.0E+0}" : "exact";
        return $"| {row.Topic} | {row.File} | {row.What} | {row.Cases} | {error} | {tolerance} | {(row.Held ? "pass" : "**outside**")} |";
    }

    // Step 1 has a tolerance of its own; the later steps share a row. Each was held to its own tolerance, which grows to the one shown.
    private static string Steps(Match step) => step.Groups[1].Value == "1" ? "step 1" : "steps 2 to 10";

    [GeneratedRegex(@"step (\d+)$")]
    private static partial Regex StepNumber();
}
