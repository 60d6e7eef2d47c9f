using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training;

/// <summary>Rows of a data set, encoded when they are needed and kept while they fit a memory budget.</summary>
public sealed class EncodedDataset
{
    private const long CacheBytes = 512L << 20;

    private readonly IReadOnlyList<TrainingExample> _examples;
    private readonly ExampleEncoder _encoder;
    private readonly RowReport _report;
    private readonly Dictionary<int, EncodedExample?> _encoded = [];
    private long _bytes;

    /// <summary>A data set.</summary>
    public EncodedDataset(IReadOnlyList<TrainingExample> examples, ExampleEncoder encoder, RowReport report)
    {
        ArgumentNullException.ThrowIfNull(examples);
        if (examples.Count == 0) throw new DatasetException("the data set is empty");
        (_examples, _encoder, _report) = (examples, encoder, report);
    }

    /// <summary>Rows, bad ones included until they are met.</summary>
    public int Count => _examples.Count;

    /// <summary>The usable rows among the given ones.</summary>
    public IReadOnlyList<EncodedExample> Take(IEnumerable<int> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return [.. rows.Select(Get).OfType<EncodedExample>()];
    }

    /// <summary>Shows each of these rows once with its pixels, and then keeps it without them.</summary>
    public void EncodePictures(IEnumerable<int> rows, Action<EncodedExample> use)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(use);
        foreach (int row in rows)
        {
            if (Get(row) is not { } example) continue;
            use(example);
            _encoded[row] = example with { Images = [] };
        }
    }

    private EncodedExample? Get(int row)
    {
        if (_encoded.TryGetValue(row, out EncodedExample? known)) return known;
        EncodedExample? example = null;
        try
        {
            example = _encoder.Encode(_examples[row]);
        }
        catch (Exception error) when (error is InputException or DatasetException)
        {
            _report.Add(_examples[row].Row, error.Message);
        }

        long bytes = example?.Images.Sum(image => (long)image.Values.Length * sizeof(float)) ?? 0;
        if (_bytes + bytes > CacheBytes) return example;
        _bytes += bytes;
        _encoded.Add(row, example);
        return example;
    }
}
