using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// Keys and values of some tokens in a row, copied out of a sequence's cache (<see cref="KvCache.Copy"/>) to be put into those of other sequences that begin
/// with the same tokens. Of a layer with a sliding window it holds what a later token can still see.
/// </summary>
public sealed class KvSegment : IDisposable
{
    private readonly DeviceBuffer _rows;
    private readonly int[] _firstRow;

    internal KvSegment(Device device, IReadOnlyList<int> windows, int start, int end, int width)
    {
        (Start, End) = (start, end);
        _firstRow = new int[windows.Count + 1];
        for (int layer = 0; layer < windows.Count; layer++) _firstRow[layer + 1] = _firstRow[layer] + RowCount(windows[layer], start, end);
        // One allocation for all: keys of every layer, then values.
        _rows = new DeviceBuffer(device, new Shape(2 * Math.Max(1, _firstRow[^1]), width), DType.F32);
    }

    /// <summary>Slot of its first token.</summary>
    public int Start { get; }

    /// <summary>Slot after its last token.</summary>
    public int End { get; }

    /// <summary>Memory it takes.</summary>
    public long Bytes => _rows.View.ByteCount;

    /// <inheritdoc/>
    public void Dispose() => _rows.Dispose();

    /// <summary>Rows that a layer keeps of [<paramref name="start"/>, <paramref name="end"/>): a query sees one token less than the window behind itself.</summary>
    internal static int RowCount(int window, int start, int end) => window == 0 ? end - start : Math.Min(end - start, window - 1);

    /// <summary>[rows, K·H] of a layer; its last row is slot <see cref="End"/> − 1.</summary>
    internal TensorView Keys(int layer) => _rows.View.Slice(_firstRow[layer], _firstRow[layer + 1] - _firstRow[layer]);

    /// <summary>Like <see cref="Keys"/>.</summary>
    internal TensorView Values(int layer) => _rows.View.Slice(_firstRow[^1] + _firstRow[layer], _firstRow[layer + 1] - _firstRow[layer]);
}
