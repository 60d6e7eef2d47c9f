using System.Security.Cryptography;
using GemmaCore.Evaluation;
using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Flare;

/// <summary>One thing that is wrong with a data set.</summary>
/// <param name="Kind">What: <c>missing image</c>, <c>unreadable image</c>, <c>odd answer</c>, <c>bad row</c>.</param>
/// <param name="Where">File and row.</param>
/// <param name="Detail">What was found.</param>
public sealed record DataFault(string Kind, string Where, string Detail);

/// <summary>A picture that stands in more than one split.</summary>
/// <param name="Hash">SHA-256 of the file, its first 16 digits.</param>
/// <param name="Places">Split, data set and file name of each.</param>
public sealed record SharedPicture(string Hash, IReadOnlyList<string> Places);

/// <summary>One data set of one split.</summary>
/// <param name="Split">Split folder.</param>
/// <param name="Dataset">Name.</param>
/// <param name="Rows">Rows in its file.</param>
/// <param name="Answered">Rows with an answer.</param>
/// <param name="Tasks">Rows by task.</param>
/// <param name="Classes">Rows by answer, of classification and multi-label rows, most frequent first.</param>
/// <param name="Pictures">Different pictures.</param>
/// <param name="PromptTokens">Least, median and most tokens of prompt and answer together, image tokens included; null without a tokenizer.</param>
/// <param name="Sample">A picture to show; null where none can be read.</param>
/// <param name="SampleQuestion">Its question.</param>
/// <param name="SampleAnswer">Its answer.</param>
public sealed record DatasetSummary(
    string Split, string Dataset, int Rows, int Answered, IReadOnlyDictionary<string, int> Tasks, IReadOnlyList<KeyValuePair<string, int>> Classes, int Pictures,
    (int Least, int Median, int Most)? PromptTokens, string? Sample, string SampleQuestion, string SampleAnswer);

/// <summary>What is in a FLARE folder and what is wrong with it. Nothing in it makes the report fail but a folder without questions.</summary>
/// <param name="Root">The folder.</param>
/// <param name="Datasets">By split and name.</param>
/// <param name="Faults">Everything that is wrong.</param>
/// <param name="Shared">Pictures in more than one split, found by content.</param>
public sealed record FlareReport(string Root, IReadOnlyList<DatasetSummary> Datasets, IReadOnlyList<DataFault> Faults, IReadOnlyList<SharedPicture> Shared)
{
    /// <summary>Reads the folder.</summary>
    /// <param name="root">FLARE folder.</param>
    /// <param name="prompts">Tokenizer and image settings for token lengths; null to leave them out.</param>
    /// <param name="wording">How questions are worded, for token lengths.</param>
    /// <exception cref="DatasetException">There is no question file.</exception>
    public static FlareReport Of(string root, PromptEncoder? prompts, PromptSet wording)
    {
        ArgumentNullException.ThrowIfNull(wording);
        var faults = new List<DataFault>();
        var sets = new List<DatasetSummary>();
        var pictures = new PictureCheck(faults);
        foreach (string split in FlareSplits.All)
        {
            foreach (string file in FlareFiles.Find(root, split))
            {
                var reading = new FlareReading(root, split, file, faults, pictures, prompts, wording);
                sets.Add(reading.Summary());
            }
        }

        if (sets.Count == 0) throw new DatasetException($"{root}: no question file found; expected {string.Join(", ", FlareSplits.All)} with <Category>/<dataset>/<dataset>_questions_*.json");
        return new FlareReport(root, sets, faults, pictures.Shared());
    }
}

/// <summary>Looks at every picture once: whether it opens, and where else its content stands.</summary>
internal sealed class PictureCheck(List<DataFault> faults)
{
    private readonly Dictionary<string, (bool Readable, string Hash)> _seen = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SortedSet<(string Split, string Place)>> _byHash = new(StringComparer.Ordinal);

    /// <summary>Looks at a picture.</summary>
    /// <returns>False when it cannot be read, which is listed the first time.</returns>
    public bool Look(string path, string split, string dataset, string where)
    {
        if (_seen.TryGetValue(path, out (bool Readable, string Hash) known)) return known.Readable;
        bool readable = true;
        string hash = "";
        try
        {
            byte[] bytes = File.ReadAllBytes(path);
            hash = Convert.ToHexString(SHA256.HashData(bytes))[..16];
            ImageDecoder.Decode(ImageSource.FromBytes(bytes));
        }
        catch (Exception error) when (error is InputException or IOException or UnauthorizedAccessException)
        {
            readable = false;
            faults.Add(new DataFault("unreadable image", where, $"{Path.GetFileName(path)}: {error.Message}"));
        }

        _seen[path] = (readable, hash);
        if (hash.Length == 0) return readable;
        if (!_byHash.TryGetValue(hash, out SortedSet<(string, string)>? places)) _byHash.Add(hash, places = []);
        places.Add((split, $"{split}/{dataset}/{Path.GetFileName(path)}"));
        return readable;
    }

    /// <summary>Pictures whose content stands in more than one split.</summary>
    public IReadOnlyList<SharedPicture> Shared() =>
    [
        .. _byHash.Where(entry => entry.Value.Select(place => place.Split).Distinct().Count() > 1).OrderBy(entry => entry.Value.Min.Place, StringComparer.Ordinal)
            .Select(entry => new SharedPicture(entry.Key, [.. entry.Value.Select(place => place.Place)])),
    ];
}
