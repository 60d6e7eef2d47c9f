namespace GemmaCore.Evaluation;

/// <summary>The spellings of FLARE's splits (flare.md §1.1, §1.3).</summary>
public static class FlareSplits
{
    private static readonly string[][] Spellings =
    [
        ["training", "train"],
        ["validation-public", "validation_public", "validation", "val"],
        ["validation-hidden", "validation_hidden", "hidden"],
        ["testing", "test"],
    ];

    /// <summary>The splits, by the spelling that the data set's own folders have.</summary>
    public static IReadOnlyList<string> All { get; } = [.. Spellings.Select(group => group[0])];

    /// <summary>Splits whose answers are scored.</summary>
    public static IReadOnlyList<string> Evaluated { get; } = [.. All.Skip(1)];

    /// <summary>The name of a split in the published files of predictions and scores, from the first part of a uid or a row's own word.</summary>
    public static string Published(string split)
    {
        ArgumentNullException.ThrowIfNull(split);
        string plain = split.Trim().ToLowerInvariant();
        int group = Array.FindIndex(Spellings, spellings => spellings.Contains(plain));
        return group switch { 0 => "train", 1 => "validation_public", 2 => "validation_hidden", 3 => "testing", _ => plain };
    }

    /// <summary>The name of a split in uids and in the names of converted files.</summary>
    public static string Converted(string split) => Published(split) is var name && name == "validation_public" ? "validation" : name;

    /// <summary>The folder of a split, under any of its spellings; null when there is none.</summary>
    public static string? Folder(string root, string split)
    {
        ArgumentNullException.ThrowIfNull(root);
        ArgumentNullException.ThrowIfNull(split);
        string[] spellings = Spellings.FirstOrDefault(group => group.Contains(split)) ?? [];
        return ((string[])[split, .. spellings]).Select(name => Path.Combine(root, name)).FirstOrDefault(Directory.Exists);
    }

    /// <summary>The category of a question file, <c>&lt;split&gt;/&lt;Category&gt;/&lt;dataset&gt;/file</c>; empty where it does not lie in such folders.</summary>
    public static string Category(string file)
    {
        ArgumentNullException.ThrowIfNull(file);
        return file.Split('/', '\\') is [.., var split, var category, _, _] && Spellings.Any(group => group.Contains(split)) ? category : "";
    }

    /// <summary>The name that uids carry: what the row says, overruled by hidden and testing folders. Of folders named like a split the one nearest to the file counts.</summary>
    public static string Name(string rowSplit, string file)
    {
        ArgumentNullException.ThrowIfNull(rowSplit);
        ArgumentNullException.ThrowIfNull(file);
        string? folder = file.Split('/', '\\').SkipLast(1).LastOrDefault(name => Spellings.Any(group => group.Contains(name)));
        if (Spellings[2].Contains(folder)) return "validation_hidden";
        if (Spellings[3].Contains(folder)) return "testing";
        return rowSplit.ToLowerInvariant() switch
        {
            "train" or "training" => "train",
            "val" or "validation" or "validation-public" or "validation_public" => "validation",
            "test" or "testing" => "testing",
            "" => Spellings[0].Contains(folder) ? "train" : "validation",
            string other => other,
        };
    }
}
