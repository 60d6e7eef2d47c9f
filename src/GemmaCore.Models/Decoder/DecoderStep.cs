using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Decoder;

/// <summary>What one layer needs to know about a step: rotary tables of the tokens' positions and the keys each token sees.</summary>
/// <param name="Cos">[T, H/2].</param>
/// <param name="Sin">[T, H/2].</param>
/// <param name="Keys">Visible key interval per token.</param>
/// <param name="CacheRows">[T] i32: where each token's key and value go in the pool of pages; default when no sequence has a cache.</param>
public readonly record struct LayerStep(TensorView Cos, TensorView Sin, KeyIntervals Keys, TensorView CacheRows);

/// <summary>
/// One pass over a <see cref="TokenBatch"/>: tables and masks, computed once for each kind of layer and shared by all layers of that kind.
/// A model keeps one and begins it anew for every pass, so that decoding allocates nothing.
/// </summary>
public sealed class DecoderStep
{
    private readonly int[] _windows;
    private readonly float[][] _frequencies;
    private readonly int[] _firstLike;
    private readonly KvLayout _layout;
    private TokenBatch? _batch;
    private Arena? _arena;
    private AttentionSequence[] _sequences = [];

    /// <summary>Describes the layers of a model.</summary>
    /// <param name="windows">Per layer: sliding window, or 0.</param>
    /// <param name="frequencies">Per layer: inverse rotary frequencies; layers of one kind share the array.</param>
    public DecoderStep(IReadOnlyList<int> windows, IReadOnlyList<float[]> frequencies)
    {
        _windows = [.. windows];
        _frequencies = [.. frequencies];
        _layout = new KvLayout(windows);
        Layers = new LayerStep[_windows.Length];
        _firstLike = new int[_windows.Length];
        for (int layer = 0; layer < _windows.Length; layer++)
            while (_windows[_firstLike[layer]] != _windows[layer] || _frequencies[_firstLike[layer]] != _frequencies[layer]) _firstLike[layer]++;
    }

    /// <summary>Memory of the pass.</summary>
    public Arena Arena => _arena!;

    /// <summary>Per layer.</summary>
    public LayerStep[] Layers { get; }

    /// <summary>Prepares a pass.</summary>
    public void Begin(TokenBatch batch, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(arena);
        _batch = batch;
        _arena = arena;
        if (_sequences.Length != batch.Sequences.Length) _sequences = new AttentionSequence[batch.Sequences.Length];
        TensorView positions = batch.UploadPositions(arena), cacheRows = batch.UploadCacheRows(arena, _layout.GroupCount);
        for (int layer = 0; layer < Layers.Length; layer++)
        {
            if (_firstLike[layer] < layer)
            {
                Layers[layer] = Layers[_firstLike[layer]] with { CacheRows = RowsOf(layer, cacheRows) };
                continue;
            }

            var shape = new Shape(batch.TokenCount, _frequencies[layer].Length);
            TensorView cos = arena.Take(shape), sin = arena.Take(shape), frequencies = arena.Take(new Shape(shape.Columns));
            frequencies.CopyFrom(_frequencies[layer]);
            Rope.FillTable(positions, frequencies, cos, sin);
            Layers[layer] = new LayerStep(cos, sin, batch.UploadIntervals(arena, _windows[layer]), RowsOf(layer, cacheRows));
        }
    }

    /// <summary>The packed sequences with the past that <paramref name="layer"/> keeps of them. Overwritten by the next call.</summary>
    public AttentionSequence[] SequencesOf(int layer)
    {
        ReadOnlySpan<TokenBatch.Sequence> sequences = _batch!.Sequences;
        for (int i = 0; i < _sequences.Length; i++)
        {
            TokenBatch.Sequence sequence = sequences[i];
            _sequences[i] = sequence.Cache?.Past(layer, sequence.FirstRow, sequence.RowCount)
                ?? new AttentionSequence(sequence.FirstRow, sequence.RowCount, default, default, 0, 0);
        }

        return _sequences;
    }

    /// <summary>Stores new keys and values in the caches of the sequences that have one.</summary>
    public void Store(int layer, TensorView keys, TensorView values)
    {
        ReadOnlySpan<TokenBatch.Sequence> sequences = _batch!.Sequences;
        for (int i = 0; i < sequences.Length;)
        {
            TokenBatch.Sequence sequence = sequences[i++];
            if (sequence.Cache is not { } cache) continue;
            int end = sequence.FirstRow + sequence.RowCount, count = cache.StoredOf(layer, sequence.RowCount);
            // Neighbours in one pool go together.
            for (; i < sequences.Length && sequences[i].Cache is { } next && next.Pool == cache.Pool; i++)
            {
                if (next.StoredOf(layer, sequences[i].RowCount) < sequences[i].RowCount) break;
                (end, count) = (end + sequences[i].RowCount, count + sequences[i].RowCount);
            }

            if (count == 0) continue;
            int first = end - count;
            cache.Pool.Store(_layout.PlaceOf(layer), keys.Slice(first, count), values.Slice(first, count), Layers[layer].CacheRows.Slice(first, count));
        }
    }

    /// <summary>Ends the pass: every cache now holds its new tokens.</summary>
    public void Finish()
    {
        foreach (TokenBatch.Sequence sequence in _batch!.Sequences) sequence.Cache?.Advance(sequence.RowCount);
    }

    private TensorView RowsOf(int layer, TensorView cacheRows) =>
        cacheRows.IsEmpty ? default : cacheRows.Slice(_layout.GroupOf(layer), 1).Reshape(new Shape(cacheRows.Shape[1]));
}
