namespace GemmaCore.Training.Datasets;

/// <summary>The spellings of FLARE's splits (flare.md §1.1, §1.3).</summary>
internal static class FlareSplits
{
    private static readonly string[][] Spellings =
    [
        ["training", "train"],
        ["validation-public", "validation_public", "validation", "val"],
        ["validation-hidden", "validation_hidden", "hidden"],
        ["testing", "test"],
    ];

    /// <summary>The folder of a split, under any of its spellings; null when there is none.</summary>
    public static string? Folder(string root, string split)
    {
        string[] spellings = Spellings.FirstOrDefault(group => group.Contains(split)) ?? [];
        return ((string[])[split, .. spellings]).Select(name => Path.Combine(root, name)).FirstOrDefault(Directory.Exists);
    }

    /// <summary>The name that uids carry: what the row says, overruled by hidden and testing folders.</summary>
    public static string Name(string rowSplit, string file)
    {
        string[] folders = file.Split('/', '\\');
        if (folders.Any(Spellings[2].Contains)) return "validation_hidden";
        if (folders.Any(Spellings[3].Contains)) return "testing";
        return rowSplit.ToLowerInvariant() switch
        {
            "train" or "training" => "train",
            "val" or "validation" or "validation-public" or "validation_public" => "validation",
            "test" or "testing" => "testing",
            "" => folders.Any(Spellings[0].Contains) ? "train" : "validation",
            string other => other,
        };
    }
}
