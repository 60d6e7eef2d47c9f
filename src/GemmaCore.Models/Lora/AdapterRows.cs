using System.Runtime.InteropServices;

namespace GemmaCore.Models.Lora;

/// <summary>
/// Which rows of the present pass go through which chosen adapter. A model keeps one and writes it anew for every pass; its linear layers read it. Adapters
/// that are attached for all rows are not in it.
/// </summary>
internal sealed class AdapterRows
{
    private readonly List<Segment> _segments = [];

    /// <summary>Neighbouring rows with one adapter.</summary>
    public readonly record struct Segment(int FirstRow, int RowCount, LoraAdapter Adapter);

    /// <summary>Ascending; rows in none of them use the base alone.</summary>
    public ReadOnlySpan<Segment> Segments => CollectionsMarshal.AsSpan(_segments);

    /// <summary>All rows of the pass use <paramref name="adapter"/>, however many a layer is given; null for the base alone.</summary>
    public void SetAll(LoraAdapter? adapter)
    {
        _segments.Clear();
        if (adapter is not null) _segments.Add(new Segment(0, int.MaxValue, adapter));
    }

    /// <summary>As the sequences of a batch say.</summary>
    public void Set(TokenBatch batch)
    {
        _segments.Clear();
        foreach (TokenBatch.Sequence sequence in batch.Sequences)
        {
            if (sequence.Adapter is not { } adapter) continue;
            if (_segments.Count > 0 && _segments[^1] is var last && last.Adapter == adapter && last.FirstRow + last.RowCount == sequence.FirstRow)
                _segments[^1] = last with { RowCount = last.RowCount + sequence.RowCount };
            else _segments.Add(new Segment(sequence.FirstRow, sequence.RowCount, adapter));
        }
    }
}
