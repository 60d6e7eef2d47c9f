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

    // Cards of one kind share tiles and number format: 7.5; 8.0 and 9.0; 8.6 and 8.9.
    private static readonly ImmutableArray<int> Kinds = [75, 80, 86];

    private readonly CudaKernel _forward, _wideForward;

    private AttentionTensorKernels(int architecture, int headSize)
    {
        string element = $"-DELEMENT={(architecture < 80 ? "half" : "bfloat16")} -DHEAD_DIM={headSize}";
        PackQueries = new CudaKernel("attention_pack.cu", "attention_pack_queries", element);
        PackSlots = new CudaKernel("attention_pack.cu", "attention_pack_slots", element);
        PackStatistics = new CudaKernel("attention_pack.cu", "attention_pack_statistics", element);
        _forward = ForwardKernel(AttentionPlan.ForwardTile(architecture, headSize, blocks: 0, multiprocessors: 1));
        _wideForward = ForwardKernel(AttentionPlan.ForwardTile(architecture, headSize, blocks: 1, multiprocessors: 1));
        string gradient = $"{element} {AttentionPlan.GradientTile(architecture, headSize)}";
        QueryGradient = new CudaKernel("attention_gradient_mma.cu", "attention_query_gradient_mma", gradient);
        KeyGradient = new CudaKernel("attention_gradient_mma.cu", "attention_key_gradient_mma", gradient);

        CudaKernel ForwardKernel(AttentionForwardTile tile) => new("attention_mma.cu", "attention_forward_mma", $"{element} {tile}");
    }

    public static ImmutableArray<AttentionTensorKernels> All { get; } =
        [.. Kinds.SelectMany(kind => AttentionPlan.TensorHeadSizes.ToArray().Select(headSize => new AttentionTensorKernels(kind, headSize)))];

    public CudaKernel PackQueries { get; }

    public CudaKernel PackSlots { get; }

    public CudaKernel PackStatistics { get; }

    public CudaKernel QueryGradient { get; }

    public CudaKernel KeyGradient { get; }

    public IEnumerable<CudaKernel> Kernels => [PackQueries, PackSlots, PackStatistics, _forward, _wideForward, QueryGradient, KeyGradient];

    public static AttentionTensorKernels For(int architecture, int headSize)
    {
        int kind = architecture switch
        {
            < 80 => 0,
            86 or 89 => 2,
            _ => 1,
        };
        return All[kind * AttentionPlan.TensorHeadSizes.Length + AttentionPlan.TensorHeadSizes.IndexOf(headSize)];
    }

    public CudaKernel Forward(AttentionForwardTile tile) => tile.Queries > 64 ? _wideForward : _forward;
}

/// <summary>The kernels of attention_decode.cu for a number of packed rows and heads up to a size.</summary>
internal sealed class AttentionDecodeKernels
{
    public const int Threads = 128;

    private static readonly ImmutableArray<int> BlockRows = [1, 2, 4], Limits = [128, 256];

    private AttentionDecodeKernels(int rows, int limit)
    {
        string defines = $"-DHEAD_LIMIT={limit} -DROWS={rows}";
        Decode = new CudaKernel("attention_decode.cu", "attention_decode", defines);
        Merge = new CudaKernel("attention_decode.cu", "attention_decode_merge", defines);
    }

    public static ImmutableArray<AttentionDecodeKernels> All { get; } =
        [.. Limits.SelectMany(limit => BlockRows.Select(rows => new AttentionDecodeKernels(rows, limit)))];

    public CudaKernel Decode { get; }

    public CudaKernel Merge { get; }

    public static AttentionDecodeKernels For(int rows, int headSize) =>
        All[Limits.IndexOf(AttentionPlan.DecodeHeadLimit(headSize)) * BlockRows.Length + BlockRows.IndexOf(rows)];
}
