using System.Globalization;
using System.Text;

namespace GemmaCore.Inputs.Dicom;

/// <summary>
/// The elements of a file or of an item, found by tag. Values never appear in complaints: they may be a patient's.
/// </summary>
internal sealed class DicomDataset
{
    // Far above any real file; bounds the memory that a file of empty elements takes.
    private const int MostElements = 100_000;

    private readonly ReadOnlyMemory<byte> _file;
    private readonly string _name;
    private readonly int _depth;
    private readonly Dictionary<uint, DicomElement> _elements = [];

    /// <param name="file">The whole file.</param>
    /// <param name="name">Its name, for complaints.</param>
    /// <param name="start">First byte of the first element.</param>
    /// <param name="end">First byte behind the last one.</param>
    /// <param name="isImplicit">Value representations are left out.</param>
    /// <param name="depth">Sequences around it.</param>
    /// <param name="group">Only this group, which comes first; 0 for all. What follows the pixels is not looked at.</param>
    /// <exception cref="InputException">Cut off, or senseless.</exception>
    public DicomDataset(ReadOnlyMemory<byte> file, string name, int start, int end, bool isImplicit, int depth = 0, uint group = 0)
    {
        (_file, _name, _depth) = (file, name, depth);
        var walk = new DicomWalk(file.Span, name);
        for (End = start; End < end && !_elements.ContainsKey(DicomTag.PixelData);)
        {
            if (group != 0 && walk.TagAt(End, end) >> 16 != group) break;
            DicomElement element = walk.Read(End, end, isImplicit, depth);
            if (element.Tag is DicomTag.ItemEnd or DicomTag.SequenceEnd) throw walk.Damaged($"{DicomTag.Spell(element.Tag)} ends what did not begin");
            _elements.TryAdd(element.Tag, element);
            if (_elements.Count > MostElements) throw walk.Damaged($"it has more than {MostElements} elements");
            End = element.End;
        }
    }

    /// <summary>First byte behind what was read.</summary>
    public int End { get; }

    /// <summary>All elements, in the order of the file.</summary>
    public IEnumerable<DicomElement> Elements => _elements.Values;

    public bool Has(uint tag) => _elements.TryGetValue(tag, out DicomElement element) && element.Length > 0;

    public DicomElement? Find(uint tag) => _elements.TryGetValue(tag, out DicomElement element) ? element : null;

    public ReadOnlySpan<byte> Value(uint tag) => Find(tag) is { } element ? _file.Span.Slice(element.Start, element.Length) : [];

    /// <summary>The first of the values of a text, without the padding; empty where there is none.</summary>
    public string Text(uint tag) => Texts(tag)[0];

    /// <summary>The values of a text; one empty text where there is none.</summary>
    public string[] Texts(uint tag) => [.. Encoding.Latin1.GetString(Value(tag)).Split('\\').Select(text => text.Trim(' ', '\0'))];

    /// <summary>A 16-bit number; null where there is none.</summary>
    public int? Short(uint tag) => Value(tag) is { Length: >= 2 } value ? value[0] | value[1] << 8 : null;

    /// <summary>A number written as text; null where there is none.</summary>
    /// <exception cref="InputException">It is no number.</exception>
    public double? Number(uint tag) => Numbers(tag) is [var first, ..] ? first : null;

    /// <summary>Numbers written as text.</summary>
    /// <exception cref="InputException">One of them is no number.</exception>
    public double[] Numbers(uint tag) => Has(tag) ? [.. Texts(tag).Where(text => text.Length > 0).Select(text => Number(text, tag))] : [];

    /// <summary>The items of a sequence.</summary>
    /// <exception cref="InputException">Cut off, or senseless.</exception>
    public List<DicomDataset> Items(uint tag)
    {
        List<DicomDataset> items = [];
        if (Find(tag) is not { } sequence) return items;
        var walk = new DicomWalk(_file.Span, _name);
        int at = sequence.Start;
        while (walk.NextItem(ref at, sequence.Start + sequence.Length, sequence.IsImplicit, _depth + 1) is { } item)
        {
            items.Add(new DicomDataset(_file, _name, item.Start, item.Start + item.Length, sequence.IsImplicit, _depth + 1));
            if (items.Count > MostElements) throw walk.Damaged($"{DicomTag.Spell(tag)} has more than {MostElements} items");
        }

        return items;
    }

    /// <summary>The pieces of packed pixels: the table of offsets, then the fragments.</summary>
    public List<ReadOnlyMemory<byte>> Fragments()
    {
        List<ReadOnlyMemory<byte>> fragments = [];
        if (Find(DicomTag.PixelData) is not { IsOpen: true } pixels) return fragments;
        var walk = new DicomWalk(_file.Span, _name);
        int at = pixels.Start;
        while (walk.NextItem(ref at, pixels.Start + pixels.Length, isImplicit: false, DicomWalk.DeepestNesting) is { } fragment) fragments.Add(_file.Slice(fragment.Start, fragment.Length));
        return fragments;
    }

    private double Number(string text, uint tag) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number)
            ? number
            : throw new InputException($"{_name}: {DicomTag.Spell(tag)} of the DICOM file is not a number");
}
