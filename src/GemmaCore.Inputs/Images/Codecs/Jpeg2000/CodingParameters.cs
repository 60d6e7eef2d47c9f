using System.Buffers.Binary;

namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>How the tiles are coded: what the main header says, and in a copy what a tile's own header says instead (T.800, A.6).</summary>
internal sealed class CodingParameters(int componentCount, CodecComplaint complaint)
{
    public const int Cod = 0xFF52, Coc = 0xFF53, Rgn = 0xFF5E, Qcd = 0xFF5C, Qcc = 0xFF5D, Poc = 0xFF5F;

    // Markers of one component hold against those of all in the same header, whichever comes first.
    private readonly bool[] _hasStyle = new bool[componentCount], _hasQuantization = new bool[componentCount];
    private readonly CodingStyle?[] _styles = new CodingStyle?[componentCount];
    private readonly Quantization?[] _quantizations = new Quantization?[componentCount];
    private bool _hasChanges;

    public TileStyle Tile { get; private set; }

    /// <summary>Bits by which a component's coefficients of interest were moved up.</summary>
    public int[] Shifts { get; } = new int[componentCount];

    /// <summary>Empty where the order never changes.</summary>
    public List<ProgressionChange> Changes { get; } = [];

    /// <summary>The same, for the headers of a tile to change.</summary>
    public CodingParameters ForTile()
    {
        var copy = new CodingParameters(componentCount, complaint) { Tile = Tile };
        _styles.CopyTo(copy._styles, 0);
        _quantizations.CopyTo(copy._quantizations, 0);
        Shifts.CopyTo(copy.Shifts, 0);
        copy.Changes.AddRange(Changes);
        return copy;
    }

    /// <exception cref="InputException">The headers did not say.</exception>
    public (CodingStyle Style, Quantization Quantization) Of(int component) => _styles[component] is { } style && _quantizations[component] is { } quantization
        ? (style, quantization)
        : throw complaint.Damaged("its headers do not say how it is coded");

    /// <summary>Takes what a marker's segment says; other markers than those above change nothing.</summary>
    /// <exception cref="InputException">It makes no sense, or is of a kind that is not read here.</exception>
    public void Read(int marker, ReadOnlySpan<byte> segment)
    {
        switch (marker)
        {
            case Cod:
                (Tile, CodingStyle style) = CodingStyle.Read(segment, complaint);
                for (int i = 0; i < componentCount; i++) _styles[i] = _hasStyle[i] ? _styles[i] : style;
                break;
            case Coc:
                int component = Component(segment, 2);
                (_styles[component], _hasStyle[component]) = (CodingStyle.ReadComponent(segment[1], segment[2..], complaint), true);
                break;
            case Qcd:
                Quantization quantization = Quantization.Read(segment, complaint);
                for (int i = 0; i < componentCount; i++) _quantizations[i] = _hasQuantization[i] ? _quantizations[i] : quantization;
                break;
            case Qcc:
                component = Component(segment, 2);
                (_quantizations[component], _hasQuantization[component]) = (Quantization.Read(segment[1..], complaint), true);
                break;
            case Rgn:
                component = Component(segment, 3);
                Shifts[component] = segment[2];
                break;
            case Poc:
                ReadChanges(segment);
                break;
        }
    }

    private int Component(ReadOnlySpan<byte> segment, int length)
    {
        if (segment.Length < length) throw complaint.CutOff();
        return segment[0] < componentCount ? segment[0] : throw complaint.Damaged("a header is for a component that is not there");
    }

    // Those of a tile take the place of those of the main header, and those of its next parts follow.
    private void ReadChanges(ReadOnlySpan<byte> segment)
    {
        const int length = 7;
        if (!_hasChanges) Changes.Clear();
        _hasChanges = true;
        for (; segment.Length >= length; segment = segment[length..])
        {
            if (segment[6] > (int)Progression.ComponentPosition) throw complaint.Damaged("its packets have no sensible order");
            // An end of 0 stands for 256.
            int endComponent = segment[5] == 0 ? componentCount : Math.Min(segment[5], componentCount);
            Changes.Add(new ProgressionChange(segment[0], segment[1], BinaryPrimitives.ReadUInt16BigEndian(segment[2..]), segment[4], endComponent, (Progression)segment[6]));
        }
    }
}
