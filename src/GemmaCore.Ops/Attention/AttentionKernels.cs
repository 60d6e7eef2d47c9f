using System.Collections.Immutable;
using GemmaCore.Cuda;

namespace GemmaCore.Ops;

/// <summary>The f32 kernels of attention.cu for heads up to a size.</summary>
internal sealed class AttentionPlainKernels
{
    public const int Threads = 128, TileRows = 32;

    private static readonly ImmutableArray<int> Limits = [64, 96, 128, 256];

    private AttentionPlainKernels(int limit)
    {
        string defines = $"-DHEAD_LIMIT={limit}";
        Forward = new CudaKernel("attention.cu", "attention_forward", defines);
        RowSums = new CudaKernel("attention.cu", "attention_row_sums", defines);
        QueryGradient = new CudaKernel("attention.cu", "attention_query_gradient", defines);
        KeyGradient = new CudaKernel("attention.cu", "attention_key_gradient", defines);
    }

    public static ImmutableArray<AttentionPlainKernels> All { get; } = [.. Limits.Select(limit => new AttentionPlainKernels(limit))];

    public CudaKernel Forward { get; }

    public CudaKernel RowSums { get; }

    public CudaKernel QueryGradient { get; }

    public CudaKernel KeyGradient { get; }

    public static AttentionPlainKernels For(int headSize) => All[Limits.IndexOf(AttentionPlan.HeadLimit(headSize))];
}

/// <summary>The tensor-core kernels of one head size on one kind of card.</summary>
internal sealed class AttentionTensorKernels
{
    public const int PackThreads = 128, PackRows = 32, StatisticsRows = 4;

    // Cards of one kind share tiles and number format: 7.5; 8.0; 8.6 and 8.9; 9.0.
    private static readonly ImmutableArray<int> Kinds = [75, 80, 86, 90];

    private static readonly ImmutableArray<long> Amounts = [0, 1];

    // The tile for few blocks and the one for many.
    private readonly ImmutableArray<CudaKernel> _forward, _wide = [], _warpgroup = [];

    private AttentionTensorKernels(int architecture, int headSize)
    {
        string element = $"-DELEMENT={(architecture < 80 ? "half" : "bfloat16")} -DHEAD_DIM={headSize}";
        PackQueries = new CudaKernel("attention_pack.cu", "attention_pack_queries", element);
        PackSlots = new CudaKernel("attention_pack.cu", "attention_pack_slots", element);
        PackStatistics = new CudaKernel("attention_pack.cu", "attention_pack_statistics", element);
        _forward = [.. Amounts.Select(blocks => AttentionPlan.ForwardTile(architecture, headSize, blocks, multiprocessors: 1)).Select(ForwardKernel)];
        if (architecture == 90 && headSize == 256)
        {
            string squares = $"{element} -DSQUARES=1";
            _warpgroup = [.. Amounts.Select(blocks => AttentionPlan.WarpgroupTile(blocks, multiprocessors: 1)).Select(WarpgroupKernel)];
            Warpgroups = new AttentionWarpgroupKernels(
                new CudaKernel("attention_pack.cu", "attention_pack_queries", squares), new CudaKernel("attention_pack.cu", "attention_pack_slots", squares),
                new CudaKernel("attention_query_gradient_wide_warpgroup.cu", "attention_query_gradient_wide_warpgroup"),
                new CudaKernel("attention_key_gradient_wide_warpgroup.cu", "attention_key_gradient_wide_warpgroup"));
        }

        if (AttentionPlan.IsWide(architecture, headSize))
        {
            string wide = $"{AttentionPlan.WideGradientTile(architecture)}";
            _wide = [.. Amounts.Select(blocks => AttentionPlan.WideTile(architecture, blocks, multiprocessors: 1)).Select(WideKernel)];
            QueryGradient = new CudaKernel("attention_gradient_wide_mma.cu", "attention_query_gradient_wide_mma", wide);
            KeyGradient = new CudaKernel("attention_gradient_wide_mma.cu", "attention_key_gradient_wide_mma", wide);
        }
        else
        {
            string gradient = $"{element} {AttentionPlan.GradientTile(architecture, headSize)}";
            QueryGradient = new CudaKernel("attention_gradient_mma.cu", "attention_query_gradient_mma", gradient);
            KeyGradient = new CudaKernel("attention_gradient_mma.cu", "attention_key_gradient_mma", gradient);
        }

        CudaKernel ForwardKernel(AttentionForwardTile tile) => new("attention_mma.cu", "attention_forward_mma", $"{element} {tile}");
        static CudaKernel WideKernel(AttentionWideTile tile) => new("attention_wide_mma.cu", "attention_forward_wide_mma", $"{tile}");
        static CudaKernel WarpgroupKernel(AttentionWarpgroupTile tile) => new("attention_wide_warpgroup.cu", "attention_forward_wide_warpgroup", $"{tile}");
    }

    public static ImmutableArray<AttentionTensorKernels> All { get; } =
        [.. Kinds.SelectMany(kind => AttentionPlan.TensorHeadSizes.ToArray().Select(headSize => new AttentionTensorKernels(kind, headSize)))];

    public CudaKernel PackQueries { get; }

    public CudaKernel PackSlots { get; }

    public CudaKernel PackStatistics { get; }

    public CudaKernel QueryGradient { get; }

    public CudaKernel KeyGradient { get; }

    /// <summary>Where a card multiplies in warpgroups, heads of 256 go through these; null for what is never there.</summary>
    public AttentionWarpgroupKernels? Warpgroups { get; }

    public IEnumerable<CudaKernel> Kernels =>
        [PackQueries, PackSlots, PackStatistics, .. _wide.IsEmpty ? _forward : _wide, .. _warpgroup, QueryGradient, KeyGradient, .. Warpgroups?.All ?? []];

    public static AttentionTensorKernels For(int architecture, int headSize)
    {
        int kind = architecture switch
        {
            < 80 => 0,
            86 or 89 => 2,
            < 90 => 1,
            _ => 3,
        };
        return All[kind * AttentionPlan.TensorHeadSizes.Length + AttentionPlan.TensorHeadSizes.IndexOf(headSize)];
    }

    public CudaKernel Forward(AttentionForwardTile tile) => _forward[tile.Queries > 64 ? 1 : 0];

    public CudaKernel Wide(AttentionWideTile tile) => _wide[tile.Queries > 64 ? 1 : 0];

    public CudaKernel Warpgroup(AttentionWarpgroupTile tile) => _warpgroup[tile.Queries > 64 ? 1 : 0];
}

/// <summary>What products of warpgroups need besides the forward kernels: rows of 256 in the order in which they read them, and the backward pass.</summary>
internal sealed record AttentionWarpgroupKernels(CudaKernel PackQueries, CudaKernel PackSlots, CudaKernel QueryGradient, CudaKernel KeyGradient)
{
    public IEnumerable<CudaKernel> All => [PackQueries, PackSlots, QueryGradient, KeyGradient];
}

/// <summary>The kernels of attention_decode.cu for a number of packed rows, heads up to a size, and the past's format.</summary>
internal sealed class AttentionDecodeKernels
{
    public const int Threads = 128;

    private static readonly ImmutableArray<int> BlockRows = [1, 2, 4], Limits = [128, 256];

    private AttentionDecodeKernels(int rows, int limit, string past)
    {
        string defines = $"-DHEAD_LIMIT={limit} -DROWS={rows} -DPAST={past}";
        Decode = new CudaKernel("attention_decode.cu", "attention_decode", defines);
        Merge = new CudaKernel("attention_decode.cu", "attention_decode_merge", defines);
    }

    public static ImmutableArray<AttentionDecodeKernels> All { get; } =
        [.. from past in (string[])["float", "bfloat16"] from limit in Limits from rows in BlockRows select new AttentionDecodeKernels(rows, limit, past)];

    public CudaKernel Decode { get; }

    public CudaKernel Merge { get; }

    public static AttentionDecodeKernels For(int rows, int headSize, bool narrow) =>
        All[((((narrow ? 1 : 0) * Limits.Length) + Limits.IndexOf(AttentionPlan.DecodeHeadLimit(headSize))) * BlockRows.Length) + BlockRows.IndexOf(rows)];
}
