using System.Buffers;
using System.Runtime.InteropServices;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// Tokens of one or more sequences, packed one after the other without padding, with everything a forward pass needs to know about
/// them: positions, which keys each token sees, and where image features go. Built once per step, read by every block.
/// </summary>
public sealed class TokenBatch
{
    private readonly List<int> _ids = [];
    private readonly List<int> _positions = [];
    private readonly List<int> _slots = [];
    private readonly List<int> _spanStart = [];
    private readonly List<int> _spanEnd = [];
    private readonly List<int> _imageRows = [];
    private readonly List<Sequence> _sequences = [];

    /// <summary>One sequence's part of the batch.</summary>
    /// <param name="FirstRow">Its first packed row.</param>
    /// <param name="RowCount">Its new tokens.</param>
    /// <param name="Cache">Its past; null when there is none (training, scoring).</param>
    /// <param name="Adapter">An adapter that is loaded to be chosen (<see cref="LoraAdapter.LoadChoice"/>), or null.</param>
    public readonly record struct Sequence(int FirstRow, int RowCount, KvCache? Cache, LoraAdapter? Adapter);

    /// <summary>Number of packed tokens, T.</summary>
    public int TokenCount => _ids.Count;

    /// <summary>Token ids in packed order.</summary>
    public ReadOnlySpan<int> Ids => CollectionsMarshal.AsSpan(_ids);

    /// <summary>Sequences in packed order.</summary>
    public ReadOnlySpan<Sequence> Sequences => CollectionsMarshal.AsSpan(_sequences);

    /// <summary>Rows whose embeddings are replaced by image features, in the order of the features.</summary>
    public ReadOnlySpan<int> ImageRows => CollectionsMarshal.AsSpan(_imageRows);

    /// <summary>[image tokens, D] features for <see cref="ImageRows"/>; default when the batch has no images.</summary>
    public TensorView ImageFeatures { get; set; }

    /// <summary>Forgets the tokens, so that the batch can be filled again without allocating.</summary>
    public void Clear()
    {
        _ids.Clear();
        _positions.Clear();
        _slots.Clear();
        _spanStart.Clear();
        _spanEnd.Clear();
        _imageRows.Clear();
        _sequences.Clear();
        ImageFeatures = default;
    }

    /// <summary>Adds the next tokens of a sequence; positions go on from the cache's length, and the cache takes pages for them.</summary>
    /// <param name="ids">Token ids.</param>
    /// <param name="imageTokenId">Id at which image features go (and see each other both ways), or −1 for text-only models.</param>
    /// <param name="cache">The sequence's past, or null.</param>
    /// <param name="positionOffset">Added to the rotary positions, for a sequence that does not start at 0.</param>
    /// <param name="adapter">The sequence's own adapter, loaded to be chosen; sequences with the same one are best added side by side.</param>
    /// <exception cref="ArgumentException">The sequence would have more tokens than its cache has room for.</exception>
    /// <exception cref="InvalidOperationException">The cache's pool has no page left.</exception>
    public void Add(ReadOnlySpan<int> ids, int imageTokenId, KvCache? cache, int positionOffset = 0, LoraAdapter? adapter = null)
    {
        int firstRow = _ids.Count, past = cache?.Length ?? 0;
        cache?.Prepare(ids.Length);
        for (int i = 0; i < ids.Length; i++)
        {
            _ids.Add(ids[i]);
            _positions.Add(positionOffset + past + i);
            _slots.Add(past + i);
            bool image = ids[i] == imageTokenId;
            bool continues = image && i > 0 && ids[i - 1] == imageTokenId;
            _spanStart.Add(continues ? _spanStart[^1] : past + i);
            _spanEnd.Add(past + i + 1);
            if (!image) continue;
            _imageRows.Add(firstRow + i);
            for (int row = firstRow + i - 1; continues && row >= firstRow && _spanStart[row] == _spanStart[^1]; row--) _spanEnd[row] = past + i + 1;
        }

        _sequences.Add(new Sequence(firstRow, ids.Length, cache, adapter));
    }

    /// <summary>Uploads ids.</summary>
    public TensorView UploadIds(Arena arena) => arena.TakeInts(CollectionsMarshal.AsSpan(_ids));

    /// <summary>Uploads positions.</summary>
    public TensorView UploadPositions(Arena arena) => arena.TakeInts(CollectionsMarshal.AsSpan(_positions));

    /// <summary>Uploads the rows that take image features.</summary>
    public TensorView UploadImageRows(Arena arena) => arena.TakeInts(CollectionsMarshal.AsSpan(_imageRows));

    /// <summary>
    /// The key interval each token sees, in slots of its sequence. A text token sees itself and what is before it, an image token its
    /// whole image too; a window cuts the start, never inside the token's own image (spec: gemma3.md §5.1, kernels.md §1.0).
    /// </summary>
    /// <param name="arena">Memory for the two arrays.</param>
    /// <param name="window">Tokens a query sees, itself included; 0 for all.</param>
    public KeyIntervals UploadIntervals(Arena arena, int window)
    {
        TensorView start = arena.Take(new Shape(TokenCount), DType.I32), end = arena.Take(new Shape(TokenCount), DType.I32);
        int[] lows = ArrayPool<int>.Shared.Rent(TokenCount);
        Span<int> low = lows.AsSpan(0, TokenCount);
        for (int row = 0; row < low.Length; row++)
        {
            int first = window == 0 ? 0 : Math.Max(0, _slots[row] - window + 1);
            low[row] = Math.Min(first, _spanStart[row]);
        }

        arena.Device.CopyFromHost(MemoryMarshal.AsBytes(low), start);
        arena.Device.CopyFromHost(
            MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(_spanEnd)), end);
        ArrayPool<int>.Shared.Return(lows);
        return new KeyIntervals(start, end);
    }

    /// <summary>Uploads where each token goes in the pages of its sequence's cache (see <see cref="KvCache.FillRows"/>).</summary>
    /// <param name="arena">Memory for the array.</param>
    /// <param name="groups">Groups of layers.</param>
    /// <returns>[groups, T] i32; default when no sequence has a cache.</returns>
    public TensorView UploadCacheRows(Arena arena, int groups)
    {
        if (!_sequences.Exists(static sequence => sequence.Cache is not null)) return default;
        int[] rented = ArrayPool<int>.Shared.Rent(groups * TokenCount);
        Span<int> rows = rented.AsSpan(0, groups * TokenCount);
        rows.Clear();
        for (int group = 0; group < groups; group++)
            foreach (Sequence sequence in Sequences) sequence.Cache?.FillRows(group, rows.Slice((group * TokenCount) + sequence.FirstRow, sequence.RowCount));
        TensorView view = arena.TakeInts(rows).Reshape(new Shape(groups, TokenCount));
        ArrayPool<int>.Shared.Return(rented);
        return view;
    }
}

/// <summary>Per packed row, the keys it sees: [Start, End) in slots of its own sequence.</summary>
/// <param name="Start">[T] i32.</param>
/// <param name="End">[T] i32.</param>
public readonly record struct KeyIntervals(TensorView Start, TensorView End);
