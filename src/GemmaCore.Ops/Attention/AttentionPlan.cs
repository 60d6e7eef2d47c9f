using GemmaCore.Cuda;

namespace GemmaCore.Ops;

/// <summary>Tile of attention_mma.cu: packed query rows of a block, slots that pass by at a time, sixteens of rows of a warp, tiles of K and V under way.</summary>
internal readonly record struct AttentionForwardTile(int Queries, int Keys, int Pieces, int Stages)
{
    public int Threads => 2 * Queries / Pieces;

    public int SharedBytes(int headSize) => (Queries + 2 * Stages * Keys) * headSize * sizeof(ushort);

    public override string ToString() => $"-DQUERIES={Queries} -DKEYS={Keys} -DPIECES={Pieces} -DSTAGES={Stages}";
}

/// <summary>Tile of attention_wide_mma.cu: packed query rows of a block, 64 to a group of four warps, and slots that pass by at a time.</summary>
internal readonly record struct AttentionWideTile(int Queries, int Keys)
{
    private const int HeadSize = 256;

    public int Threads => 2 * Queries;

    // Q, a tile of K and one of V, P, and six words of every row.
    public int SharedBytes => ((Queries + 2 * Keys) * HeadSize + Queries * Keys) * sizeof(ushort) + Queries * 6 * sizeof(float);

    public override string ToString() => $"-DQUERIES={Queries} -DKEYS={Keys}";
}

/// <summary>
/// Tile of attention_wide_warpgroup.cu: packed query rows of a block, 64 to a group of four warps beside one more that copies, slots that pass by at a
/// time, and tiles of K or V under way.
/// </summary>
internal readonly record struct AttentionWarpgroupTile(int Queries, int Keys, int Stages)
{
    private const int RowBytes = 256 * sizeof(ushort);

    public int Threads => 2 * Queries + 128;

    // Q, the tiles, two barriers of eight bytes for each, and the interval of every row.
    public int SharedBytes => (Queries + Stages * Keys) * RowBytes + Stages * 2 * sizeof(ulong) + Queries * 2 * sizeof(int);

    public override string ToString() => $"-DQUERIES={Queries} -DKEYS={Keys} -DSTAGES={Stages}";
}

/// <summary>Tile of the backward pass: rows that stay, columns that pass by, warps that share sixteen rows, and column tiles under way at a time.</summary>
internal readonly record struct AttentionGradientTile(int Rows, int Columns, int Split, int Stages)
{
    public int Threads => 2 * Rows * Split;

    // With a split, P and dS are exchanged in rows of Columns + 8 elements.
    public int SharedBytes(int headSize) =>
        ((2 * Rows + 2 * Stages * Columns) * headSize + (Split > 1 ? 2 * Rows * (Columns + 8) : 0)) * sizeof(ushort);

    public override string ToString() => $"-DROWS={Rows} -DCOLUMNS={Columns} -DSPLIT={Split} -DSTAGES={Stages}";
}

/// <summary>
/// Tile of attention_gradient_wide_mma.cu: packed query rows of a block of the query kernel, and tiles under way at a time in the key kernel, whose
/// blocks take 64 slots.
/// </summary>
internal readonly record struct AttentionWideGradientTile(int Queries, int Stages)
{
    public const int Side = 64, KeyThreads = 256;

    private const int TileBytes = Side * 256 * sizeof(ushort), WeightBytes = Side * Side * sizeof(ushort);

    private int Groups => Queries / Side;

    public int QueryThreads => 2 * Queries;

    public int QuerySharedBytes => (2 * Groups + 2) * TileBytes + Groups * (WeightBytes + (Side + 1) * 16);

    public int KeySharedBytes => (2 + 2 * Stages) * TileBytes + 4 * WeightBytes + Stages * Side * 16;

    public override string ToString() => $"-DQUERIES={Queries} -DSTAGES={Stages}";
}

/// <summary>
/// Blocks of attention_query_gradient_wide_warpgroup.cu and attention_key_gradient_wide_warpgroup.cu: two groups of four warps beside one more that copies.
/// </summary>
internal static class AttentionWarpgroupGradient
{
    /// <summary>Packed query rows of a block, 64 to a group.</summary>
    public const int Queries = 128;

    /// <summary>Slots of a block.</summary>
    public const int Keys = 64;

    public const int Threads = 384;

    // Q and dY of both groups, three tiles that pass by, a barrier of eight bytes and another for each of those, and one.
    public const int QuerySharedBytes = 7 * TileBytes + 7 * sizeof(ulong);

    // K and V, two stages of Q and dY, P in f32, the statistics of two stages, nine barriers, and a word for each stage.
    public const int KeySharedBytes = 6 * TileBytes + Keys * Keys * sizeof(float) + 2 * Keys * 16 + 9 * sizeof(ulong) + 2 * sizeof(int);

    private const int TileBytes = 64 * 256 * sizeof(ushort);
}

/// <summary>How attention is spread over a card: functions of the shape and the card's facts (kernels.md §1.1 to 1.4).</summary>
internal static class AttentionPlan
{
    /// <summary>Packed rows that a sequence's share of the tiles is rounded up to; a multiple of every tile.</summary>
    public const int BlockRows = 128;

    /// <summary>Most rows of a sequence that the decoding kernel takes.</summary>
    public const int MostDecodeRows = 16;

    /// <summary>Largest head size of any kernel.</summary>
    public const int MostHeadSize = 256;

    private const int FewestSplitKeys = 32, MostSplitKeys = 512, SplitStep = 32;

    /// <summary>Head sizes that the tensor-core kernels are specialised for.</summary>
    public static ReadOnlySpan<int> TensorHeadSizes => [64, 72, 128, 256];

    /// <summary>True when products go through tensor cores in the card's 16-bit format.</summary>
    public static bool UsesTensorCores(CudaPrecision precision, int headSize) =>
        precision != CudaPrecision.Float32 && TensorHeadSizes.Contains(headSize);

    /// <summary>The smallest HEAD_LIMIT of attention.cu that holds a head.</summary>
    public static int HeadLimit(int headSize) => headSize switch
    {
        <= 64 => 64,
        <= 96 => 96,
        <= 128 => 128,
        _ => 256,
    };

    /// <summary>The smallest HEAD_LIMIT of attention_decode.cu that holds a head.</summary>
    public static int DecodeHeadLimit(int headSize) => headSize <= 128 ? 128 : 256;

    /// <summary>The forward tile; <paramref name="blocks"/> are the blocks of <see cref="BlockRows"/> packed query rows, of all key heads.</summary>
    public static AttentionForwardTile ForwardTile(int architecture, int headSize, long blocks, int multiprocessors)
    {
        // One power of two scales 32 keys, and 64 KiB hold no more at head size 256.
        if (architecture < 80) return new AttentionForwardTile(64, 32, 1, 1);
        // Where tensor cores are slower than shared memory, or blocks too few to give every multiprocessor one, small tiles.
        if (architecture is 86 or 89 || headSize > 128 || blocks < multiprocessors) return new AttentionForwardTile(64, 64, 1, 1);
        // With 32 rows to a warp a fragment of K or V serves twice as many products. Sums and scores are registers: 64 keys are too many at 128.
        return new AttentionForwardTile(128, headSize == 128 ? 32 : 64, 2, 2);
    }

    /// <summary>True where attention_wide_mma.cu computes the forward pass: it takes more shared memory than 8.6 and 8.9 have.</summary>
    public static bool IsWide(int architecture, int headSize) => headSize == 256 && architecture is >= 80 and not (86 or 89);

    /// <summary>The tile of attention_wide_mma.cu; <paramref name="blocks"/> as for <see cref="ForwardTile"/>.</summary>
    public static AttentionWideTile WideTile(int architecture, long blocks, int multiprocessors) =>
        new(2 * blocks <= multiprocessors ? 64 : 128, architecture == 80 ? 64 : 128);

    /// <summary>The tile of attention_wide_warpgroup.cu, which takes the place of attention_wide_mma.cu where a card multiplies in warpgroups.</summary>
    public static AttentionWarpgroupTile WarpgroupTile(long blocks, int multiprocessors) => new(2 * blocks <= multiprocessors ? 64 : 128, 64, 4);

    /// <summary>The tile of attention_gradient_wide_mma.cu.</summary>
    public static AttentionWideGradientTile WideGradientTile(int architecture) => architecture == 80 ? new(64, 1) : new(128, 2);

    /// <summary>
    /// True when a block takes an early and a late tile of a sequence. While every block has a multiprocessor to itself, the longest sets the time; of more
    /// blocks the longest go first, and neighbouring tiles share K and V better.
    /// </summary>
    public static bool ArePaired(long blocks, int multiprocessors) => blocks <= multiprocessors;

    /// <summary>The backward tile.</summary>
    public static AttentionGradientTile GradientTile(int architecture, int headSize) => (architecture, headSize) switch
    {
        ( < 80, 256) => new AttentionGradientTile(32, 16, 2, 1),
        ( < 80, 128) => new AttentionGradientTile(64, 32, 2, 1),
        ( < 80, _) => new AttentionGradientTile(64, 32, 1, 1),
        (86 or 89, 256) => new AttentionGradientTile(64, 16, 2, 1),
        (_, 128 or 256) => new AttentionGradientTile(64, 32, 2, 2),
        _ => new AttentionGradientTile(64, 32, 1, 2),
    };

    /// <summary>
    /// Slots of a split of the decoding kernel: about two blocks for every multiprocessor, within 32 and 512 slots. Depends on the sequence and not on
    /// its neighbours in the batch, so neither does the result.
    /// </summary>
    public static int SplitKeys(int slots, int keyHeads, int multiprocessors)
    {
        long wanted = ((long)slots * keyHeads + 2L * multiprocessors - 1) / (2L * multiprocessors);
        return (int)Math.Clamp((wanted + SplitStep - 1) / SplitStep * SplitStep, FewestSplitKeys, MostSplitKeys);
    }

    /// <summary>Packed rows of a block of the decoding kernel.</summary>
    public static int DecodeBlockRows(int packedRows) => packedRows switch
    {
        <= 1 => 1,
        2 => 2,
        _ => 4,
    };
}
