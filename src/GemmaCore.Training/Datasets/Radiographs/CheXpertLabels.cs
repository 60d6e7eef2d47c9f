using System.Globalization;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets.Tables;

namespace GemmaCore.Training.Datasets.Radiographs;

/// <summary>
/// The labels that the CheXpert labeler gives, in CheXpert's own tables and in MIMIC-CXR-JPG's: 1 for present, 0 for absent, -1 for uncertain, nothing for not
/// mentioned, which counts as absent. Irvin et al., arXiv 1901.07031, name the ways to take uncertain ones.
/// </summary>
internal sealed class CheXpertLabels
{
    /// <summary>What an answer says where no label applies. The tables have a column of this name; the answer follows from the labels asked for instead.</summary>
    public const string NoFinding = "No Finding";

    /// <summary>The labels, in the order of the tables.</summary>
    public static readonly string[] Names =
    [
        "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax",
        "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices",
    ];

    private readonly TableFile _table;
    private readonly (string Name, int Column)[] _labels;
    private readonly string _uncertainty;

    /// <param name="table">A table with these columns.</param>
    /// <param name="chosen">Labels to ask for; empty for all.</param>
    /// <param name="uncertainty"><c>ones</c>: uncertain is present; <c>zeros</c>: absent; <c>ignore</c>: the label is not asked for in that row.</param>
    /// <exception cref="DatasetException">A label is unknown, or the table lacks its column.</exception>
    public CheXpertLabels(TableFile table, IReadOnlyList<string> chosen, string uncertainty)
    {
        (_table, _uncertainty) = (table, uncertainty);
        _labels = [.. Chosen(chosen, Names).Select(name => (name, table.Column(name)))];
    }

    /// <summary>The labels that a configuration chose, as the data set spells them.</summary>
    /// <exception cref="DatasetException">One is unknown.</exception>
    public static IReadOnlyList<string> Chosen(IReadOnlyList<string> chosen, IReadOnlyList<string> known) => chosen.Count == 0 ? known :
    [
        .. chosen.Select(name => known.FirstOrDefault(label => string.Equals(label, name, StringComparison.OrdinalIgnoreCase)) ?? throw new DatasetException(
            $"dataset.labels: '{name}' is unknown; did you mean '{Spelling.Nearest(name, known)}'? (there are {string.Join(", ", known)}; {NoFinding} is answered where none applies)")),
    ];

    /// <summary>Which labels a row is asked for, and which of them apply.</summary>
    /// <exception cref="DatasetException">A value is none of the four.</exception>
    public (IReadOnlyList<string> Asked, IReadOnlyList<string> Present) Read(TableRow row)
    {
        var asked = new List<string>(_labels.Length);
        var present = new List<string>();
        foreach ((string name, int column) in _labels)
        {
            string text = row[column];
            double value = text.Length == 0 ? 0
                : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && number is 1 or 0 or -1 ? number
                : throw new DatasetException($"{_table.Columns[column]} is '{text}'; expected 1, 0, -1 or nothing");
            if (value < 0 && _uncertainty == "ignore") continue;
            asked.Add(name);
            if (value > 0 || (value < 0 && _uncertainty == "ones")) present.Add(name);
        }

        return (asked, present);
    }

    /// <summary>The answer that names labels.</summary>
    public static string Answer(IReadOnlyList<string> present) => present.Count == 0 ? NoFinding : string.Join("; ", present);
}
