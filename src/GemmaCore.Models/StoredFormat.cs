using GemmaCore.Checkpoints;

namespace GemmaCore.Models;

/// <summary>The format of the linear layers that a checkpoint has in codes, by what stands beside their weights; others may be dense.</summary>
/// <param name="Format">One for all of them; <see cref="WeightFormat.Nf4"/> whatever its magnitudes are held in.</param>
/// <param name="Tensor">One of them, as the file spells it.</param>
internal sealed record StoredFormat(WeightFormat Format, string Tensor)
{
    private const string RowScales = ".SCB";

    /// <summary>Reads names only; null where all layers are dense.</summary>
    /// <exception cref="CheckpointException">They are of more than one format.</exception>
    public static StoredFormat? Of(CheckpointFolder checkpoint)
    {
        var formats = new Dictionary<string, WeightFormat>(StringComparer.Ordinal);
        foreach (string name in checkpoint.Names)
        {
            if (BesideWeight(name) is not var (weight, format)) continue;
            if (formats.TryGetValue(weight, out WeightFormat other) && other != format)
            {
                string marks = string.Join(" and ", ((WeightFormat[])[other, format]).Order().Select(Mark));
                throw new CheckpointException(
                    $"{checkpoint.Folder}: tensor '{checkpoint.Spelled(weight)}' has {marks} beside it, which are of two formats; quantise the original model again");
            }

            formats[weight] = format;
        }

        // Beside linear layers of any format, embeddings and head may be in 8-bit rows.
        IGrouping<WeightFormat, string>[] kinds =
        [
            .. formats.Where(item => item.Value != WeightFormat.Int8 || item.Key is not (LanguageModel.EmbeddingsName or LanguageModel.HeadName))
                .GroupBy(item => item.Value, item => item.Key).OrderByDescending(kind => kind.Count()),
        ];
        if (kinds.Length < 2) return kinds.Length == 0 ? null : new StoredFormat(kinds[0].Key, checkpoint.Spelled(kinds[0].First()));
        IGrouping<WeightFormat, string> most = kinds[0], fewest = kinds[^1];
        throw new CheckpointException(
            $"{checkpoint.Folder}: tensor '{checkpoint.Spelled(fewest.First())}' is in {NameOf(fewest.Key)} and '{checkpoint.Spelled(most.First())}' in {NameOf(most.Key)}; "
            + "mixed formats are not supported, quantise the original model to one");
    }

    /// <summary>Whether codes of one are codes of the other: a checkpoint in NF4 keeps its magnitudes as they are, whichever NF4 is asked for.</summary>
    public static bool IsSame(WeightFormat one, WeightFormat other) => NameOf(one) == NameOf(other);

    /// <summary>What options call it, but for the magnitudes of NF4.</summary>
    public static string NameOf(WeightFormat format) => format switch
    {
        WeightFormat.Int8 => "int8",
        WeightFormat.Int8Group => "int8-128",
        _ => "nf4",
    };

    private static (string Weight, WeightFormat Format)? BesideWeight(string name)
    {
        int state = name.IndexOf(CheckpointFolder.StateKey, StringComparison.Ordinal);
        return state > 0 ? (name[..state], WeightFormat.Nf4)
            : name.EndsWith(RowScales, StringComparison.Ordinal) ? (name[..^RowScales.Length] + ".weight", WeightFormat.Int8)
            : name.EndsWith(".weight" + StoredCodes.ScaleSuffix, StringComparison.Ordinal) ? (name[..^StoredCodes.ScaleSuffix.Length], WeightFormat.Int8Group)
            : null;
    }

    private static string Mark(WeightFormat format) => format switch
    {
        WeightFormat.Int8 => "an SCB (int8)",
        WeightFormat.Int8Group => "a weight_scale (int8-128)",
        _ => "a quant_state (4 bits)",
    };
}
