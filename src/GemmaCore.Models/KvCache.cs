using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// Keys and values of one sequence, layer by layer. A layer with a sliding window keeps only its window, in a ring: slot s of the
/// sequence stands in row s mod capacity.
/// </summary>
public sealed class KvCache : IDisposable
{
    private readonly DeviceBuffer[] _keys, _values;
    private readonly int[] _windows;

    /// <summary>An empty cache.</summary>
    /// <param name="device">Where it lives.</param>
    /// <param name="windows">Per layer: tokens a query sees (the sliding window), or 0 for all.</param>
    /// <param name="capacity">Most tokens the sequence will have.</param>
    /// <param name="kvHeads">K.</param>
    /// <param name="headDim">H.</param>
    public KvCache(Device device, IReadOnlyList<int> windows, int capacity, int kvHeads, int headDim)
    {
        ArgumentNullException.ThrowIfNull(windows);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        Capacity = capacity;
        _windows = [.. windows];
        _keys = new DeviceBuffer[windows.Count];
        _values = new DeviceBuffer[windows.Count];
        try
        {
            for (int layer = 0; layer < windows.Count; layer++)
            {
                int rows = windows[layer] == 0 ? capacity : Math.Min(windows[layer], capacity);
                var shape = new Shape(rows, kvHeads, headDim);
                _keys[layer] = new DeviceBuffer(device, shape, DType.F32);
                _values[layer] = new DeviceBuffer(device, shape, DType.F32);
            }
        }
        catch
        {
            Dispose(); // of the layers there are
            throw;
        }
    }

    /// <summary>Most tokens the sequence can have.</summary>
    public int Capacity { get; }

    /// <summary>Tokens seen so far; also the position of the next one.</summary>
    public int Length { get; private set; }

    /// <summary>Declares tokens whose keys and values every layer has stored.</summary>
    public void Advance(int tokens) => Length += tokens;

    /// <summary>Forgets everything.</summary>
    public void Clear() => Length = 0;

    /// <summary>What attention of one layer reads: the packed rows of this sequence and its stored past.</summary>
    public AttentionSequence Past(int layer, int firstRow, int rowCount)
    {
        // A query sees window − 1 tokens behind itself; the ring may hold one more.
        int kept = _windows[layer] == 0 ? Length : Math.Min(Length, _windows[layer] - 1);
        return new AttentionSequence(firstRow, rowCount, _keys[layer].View, _values[layer].View, Length - kept, kept);
    }

    /// <summary>Ring rows of the next <paramref name="rows"/>.Length tokens in a layer; for those that would be overwritten at once, any row.</summary>
    public void FillRows(int layer, Span<int> rows)
    {
        int capacity = _keys[layer].View.Shape[0];
        for (int i = 0; i < rows.Length; i++) rows[i] = (Length + i) % capacity;
    }

    /// <summary>Stores the keys and values of new tokens; of a chunk longer than the ring only the tail is kept.</summary>
    /// <param name="layer">Layer index.</param>
    /// <param name="keys">[rows, K, H], after RoPE.</param>
    /// <param name="values">[rows, K, H].</param>
    /// <param name="rows">[rows] i32, as <see cref="FillRows"/> gave them: data and not addresses, so that a decoding step is the same work every time.</param>
    public void Append(int layer, TensorView keys, TensorView values, TensorView rows)
    {
        Store(_keys[layer].View, keys, rows);
        Store(_values[layer].View, values, rows);
    }

    /// <summary>The tokens from <paramref name="start"/> to the end, for other sequences that begin with the same ones.</summary>
    /// <exception cref="OutOfMemoryException">There is no memory for the copy; a card says so with an exception of its own.</exception>
    public KvSegment Copy(int start)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)start, (uint)Length, nameof(start));
        TensorView some = _keys[0].View;
        var segment = new KvSegment(some.Device, _windows, start, Length, some.Shape[1] * some.Shape[2]);
        for (int layer = 0; layer < _keys.Length; layer++)
        {
            Exchange(segment.Keys(layer), _keys[layer].View, segment.End, toRing: false);
            Exchange(segment.Values(layer), _values[layer].View, segment.End, toRing: false);
        }

        return segment;
    }

    /// <summary>Takes over the tokens of a segment that begins where this sequence ends.</summary>
    /// <exception cref="ArgumentException">It begins elsewhere, or there is no room for it.</exception>
    public void Append(KvSegment segment)
    {
        ArgumentNullException.ThrowIfNull(segment);
        if (segment.Start != Length || segment.End > Capacity)
            throw new ArgumentException($"a segment of tokens {segment.Start} to {segment.End} does not go behind {Length} of at most {Capacity}", nameof(segment));
        for (int layer = 0; layer < _keys.Length; layer++)
        {
            Exchange(segment.Keys(layer), _keys[layer].View, segment.End, toRing: true);
            Exchange(segment.Values(layer), _values[layer].View, segment.End, toRing: true);
        }

        Length = segment.End;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (DeviceBuffer? buffer in _keys) buffer?.Dispose();
        foreach (DeviceBuffer? buffer in _values) buffer?.Dispose();
    }

    // Between straight rows, the last of them slot end − 1, and the ring where slot s is row s mod capacity: two runs where it wraps around.
    private static void Exchange(TensorView rows, TensorView ring, int end, bool toRing)
    {
        int capacity = ring.Shape[0], count = rows.Shape[0];
        TensorView flat = ring.Reshape(new Shape(capacity, ring.Shape[1] * ring.Shape[2]));
        for (int done = 0; done < count;)
        {
            int row = (end - count + done) % capacity, run = Math.Min(count - done, capacity - row);
            TensorView straight = rows.Slice(done, run), round = flat.Slice(row, run);
            if (toRing) ring.Device.Copy(straight, round);
            else ring.Device.Copy(round, straight);
            done += run;
        }
    }

    private static void Store(TensorView ring, TensorView source, TensorView rows)
    {
        int capacity = ring.Shape[0], width = ring.Shape[1] * ring.Shape[2], count = source.Shape[0], kept = Math.Min(count, capacity);
        ScatterRows.Forward(
            source.Slice(count - kept, kept).Reshape(new Shape(kept, width)), rows.Slice(count - kept, kept), ring.Reshape(new Shape(capacity, width)), null);
    }
}
