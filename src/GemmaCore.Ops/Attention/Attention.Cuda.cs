using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class Attention
{
    private const float Log2E = 1.4426950408889634f;

    private static void ForwardCuda(CudaDevice cuda, in AttentionInputs x, TensorView y, TensorView lse, bool isRecorded)
    {
        RequireHeadSize(x);
        if (x.Rows == 0) return;
        Arena.Mark mark = cuda.Scratch.Position;
        // What is recorded is computed again in the backward pass, by tiles; only the same arithmetic makes its probabilities sum to one.
        AttentionTable table = AttentionTable.Upload(cuda, x, decodes: !isRecorded);
        if (table.QueryBlocks > 0)
        {
            if (AttentionPlan.UsesTensorCores(cuda.Precision, x.HeadSize)) ForwardTensor(cuda, x, table, y, lse);
            else
                cuda.Launch(
                    AttentionPlainKernels.For(x.HeadSize).Forward, PlainGrid(table.QueryBlocks, x.KeyHeads),
                    x.Q, x.K, x.V, table.Entries, table.Count, x.KeyStart, x.KeyEnd, x.Scale, y, lse, x.Heads, x.KeyHeads, x.HeadSize);
        }

        if (table.DecodeRows > 0) Decode(cuda, x, table, y, lse);
        cuda.Scratch.Rewind(mark);
    }

    private static void BackwardCuda(CudaDevice cuda, in AttentionInputs x, in AttentionOutputs o)
    {
        if (x.Rows == 0) return;
        Arena.Mark mark = cuda.Scratch.Position;
        AttentionTable table = AttentionTable.Upload(cuda, x, decodes: false);
        if (AttentionPlan.UsesTensorCores(cuda.Precision, x.HeadSize)) BackwardTensor(cuda, x, table, o);
        else BackwardPlain(cuda, x, table, o);
        cuda.Scratch.Rewind(mark);
    }

    private static void RequireHeadSize(in AttentionInputs x) => Require.That(
        x.HeadSize <= AttentionPlan.MostHeadSize, "Attention.Forward", $"on CUDA a head may have {AttentionPlan.MostHeadSize} elements at most, got q {x.Q}");

    private static LaunchGrid PlainGrid(int blocks, int keyHeads) =>
        new((long)blocks * (AttentionPlan.BlockRows / AttentionPlainKernels.TileRows), AttentionPlainKernels.Threads, keyHeads);

    private static void BackwardPlain(CudaDevice cuda, in AttentionInputs x, in AttentionTable table, in AttentionOutputs o)
    {
        AttentionPlainKernels kernels = AttentionPlainKernels.For(x.HeadSize);
        TensorView rowSums = cuda.Scratch.Take(o.Lse.Shape);
        int rows = checked((int)o.Lse.Shape.ElementCount);
        cuda.Launch(
            kernels.RowSums, new LaunchGrid((rows + 3L) / 4, AttentionPlainKernels.Threads), o.DY, o.Y, rowSums, rows, x.HeadSize);
        if (o.DQ.IsWanted)
            cuda.Launch(
                kernels.QueryGradient, PlainGrid(table.QueryBlocks, x.KeyHeads), x.Q, x.K, x.V, o.DY, o.Lse, rowSums, table.Entries, table.Count,
                x.KeyStart, x.KeyEnd, x.Scale, o.DQ.View, o.DQ.Accumulate, x.Heads, x.KeyHeads, x.HeadSize);
        if (o.DK.IsWanted || o.DV.IsWanted)
            cuda.Launch(
                kernels.KeyGradient, PlainGrid(table.KeyBlocks, x.KeyHeads), x.Q, x.K, x.V, o.DY, o.Lse, rowSums, table.Entries, table.Count,
                x.KeyStart, x.KeyEnd, x.Scale, o.DK.View, o.DV.View, o.DK.Accumulate, o.DV.Accumulate, x.Heads, x.KeyHeads, x.HeadSize);
    }

    private static void ForwardTensor(CudaDevice cuda, in AttentionInputs x, in AttentionTable table, TensorView y, TensorView lse)
    {
        AttentionTensorKernels kernels = AttentionTensorKernels.For(cuda.Architecture, x.HeadSize);
        AttentionWarpgroupKernels? warpgroups = cuda.HasWarpgroups ? kernels.Warpgroups : null;
        (PackedRows k, PackedRows v) = PackSlots(cuda, warpgroups?.PackSlots ?? kernels.PackSlots, x, table);
        long blocks = (long)table.QueryBlocks * x.KeyHeads;
        if (warpgroups is not null)
        {
            AttentionWarpgroupTile tall = AttentionPlan.WarpgroupTile(blocks, cuda.MultiprocessorCount);
            cuda.Launch(
                kernels.Warpgroup(tall), TensorGrid(table.QueryBlocks, tall.Queries, tall.Threads, x.KeyHeads, tall.SharedBytes),
                x.Q, k.Values, v.Values, table.Entries, table.Count, x.KeyStart, x.KeyEnd, x.Scale * Log2E,
                AttentionPlan.ArePaired(blocks, cuda.MultiprocessorCount), y, lse, x.Heads, x.KeyHeads, table.KeyBlocks);
            return;
        }

        if (AttentionPlan.IsWide(cuda.Architecture, x.HeadSize))
        {
            AttentionWideTile wide = AttentionPlan.WideTile(cuda.Architecture, blocks, cuda.MultiprocessorCount);
            cuda.Launch(
                kernels.Wide(wide), TensorGrid(table.QueryBlocks, wide.Queries, wide.Threads, x.KeyHeads, wide.SharedBytes),
                x.Q, k.Values, v.Values, table.Entries, table.Count, x.KeyStart, x.KeyEnd, x.Scale * Log2E,
                AttentionPlan.ArePaired(blocks, cuda.MultiprocessorCount), y, lse, x.Heads, x.KeyHeads, table.KeyBlocks);
            return;
        }

        // fp16 needs the powers of two of whole groups of rows; bf16 is rounded where it is read.
        PackedRows q = cuda.Precision == CudaPrecision.Float16 ? PackQueries(cuda, kernels.PackQueries, x, table, x.Q, x.Scale * Log2E) : new PackedRows(x.Q, default);
        AttentionForwardTile tile = AttentionPlan.ForwardTile(cuda.Architecture, x.HeadSize, blocks, cuda.MultiprocessorCount);
        cuda.Launch(
            kernels.Forward(tile), TensorGrid(table.QueryBlocks, tile.Queries, tile.Threads, x.KeyHeads, tile.SharedBytes(x.HeadSize)),
            q.Values, k.Values, v.Values, q.Scales, k.Scales, v.Scales, table.Entries, table.Count, x.KeyStart, x.KeyEnd, x.Scale * Log2E, y, lse,
            x.Heads, x.KeyHeads, table.KeyBlocks);
    }

    private static void BackwardTensor(CudaDevice cuda, in AttentionInputs x, in AttentionTable table, in AttentionOutputs o)
    {
        AttentionTensorKernels kernels = AttentionTensorKernels.For(cuda.Architecture, x.HeadSize);
        AttentionWarpgroupKernels? warpgroups = cuda.HasWarpgroups ? kernels.Warpgroups : null;
        CudaKernel packQueries = warpgroups?.PackQueries ?? kernels.PackQueries;
        PackedRows q = PackQueries(cuda, packQueries, x, table, x.Q, x.Scale * Log2E), dY = PackQueries(cuda, packQueries, x, table, o.DY, 1);
        (PackedRows k, PackedRows v) = PackSlots(cuda, warpgroups?.PackSlots ?? kernels.PackSlots, x, table);
        // lse, D and the interval of every packed query row.
        TensorView statistics = cuda.Scratch.Take(new Shape(x.KeyHeads, table.QueryBlocks * AttentionPlan.BlockRows, 4));
        cuda.Launch(
            kernels.PackStatistics,
            new LaunchGrid((long)table.QueryBlocks * (AttentionPlan.BlockRows / AttentionTensorKernels.StatisticsRows), AttentionTensorKernels.PackThreads, x.KeyHeads),
            o.DY, o.Y, o.Lse, x.KeyStart, x.KeyEnd, table.Entries, table.Count, statistics, x.Heads, x.KeyHeads);
        if (warpgroups is not null)
        {
            if (o.DQ.IsWanted)
                cuda.Launch(
                    warpgroups.QueryGradient,
                    TensorGrid(table.QueryBlocks, AttentionWarpgroupGradient.Queries, AttentionWarpgroupGradient.Threads, x.KeyHeads, AttentionWarpgroupGradient.QuerySharedBytes),
                    q.Values, k.Values, v.Values, dY.Values, statistics, table.Entries, table.Count, x.Scale,
                    AttentionPlan.ArePaired((long)table.QueryBlocks * x.KeyHeads, cuda.MultiprocessorCount), o.DQ.View, o.DQ.Accumulate, x.Heads, x.KeyHeads, table.KeyBlocks);
            if (o.DK.IsWanted || o.DV.IsWanted)
                cuda.Launch(
                    warpgroups.KeyGradient,
                    TensorGrid(table.KeyBlocks, AttentionWarpgroupGradient.Keys, AttentionWarpgroupGradient.Threads, x.KeyHeads, AttentionWarpgroupGradient.KeySharedBytes),
                    q.Values, k.Values, v.Values, dY.Values, statistics, table.Entries, table.Count, o.DK.View, o.DV.View, o.DK.Accumulate,
                    o.DV.Accumulate, x.Heads, x.KeyHeads, table.QueryBlocks);
            return;
        }

        if (AttentionPlan.IsWide(cuda.Architecture, x.HeadSize))
        {
            AttentionWideGradientTile wide = AttentionPlan.WideGradientTile(cuda.Architecture);
            if (o.DQ.IsWanted)
                cuda.Launch(
                    kernels.QueryGradient, TensorGrid(table.QueryBlocks, wide.Queries, wide.QueryThreads, x.KeyHeads, wide.QuerySharedBytes),
                    q.Values, k.Values, v.Values, dY.Values, statistics, table.Entries, table.Count, x.Scale, o.DQ.View, o.DQ.Accumulate, x.Heads,
                    x.KeyHeads, table.KeyBlocks);
            if (o.DK.IsWanted || o.DV.IsWanted)
                cuda.Launch(
                    kernels.KeyGradient,
                    TensorGrid(table.KeyBlocks, AttentionWideGradientTile.Side, AttentionWideGradientTile.KeyThreads, x.KeyHeads, wide.KeySharedBytes),
                    q.Values, k.Values, v.Values, dY.Values, statistics, table.Entries, table.Count, o.DK.View, o.DV.View, o.DK.Accumulate,
                    o.DV.Accumulate, x.Heads, x.KeyHeads, table.QueryBlocks);
            return;
        }

        AttentionGradientTile tile = AttentionPlan.GradientTile(cuda.Architecture, x.HeadSize);
        if (o.DQ.IsWanted)
            cuda.Launch(
                kernels.QueryGradient, TensorGrid(table.QueryBlocks, tile.Rows, tile.Threads, x.KeyHeads, tile.SharedBytes(x.HeadSize)),
                q.Values, k.Values, v.Values, dY.Values, q.Scales, k.Scales, v.Scales, dY.Scales, statistics, table.Entries, table.Count,
                x.Scale, o.DQ.View, o.DQ.Accumulate, x.Heads, x.KeyHeads, table.KeyBlocks);
        if (o.DK.IsWanted || o.DV.IsWanted)
            cuda.Launch(
                kernels.KeyGradient, TensorGrid(table.KeyBlocks, tile.Rows, tile.Threads, x.KeyHeads, tile.SharedBytes(x.HeadSize)),
                q.Values, k.Values, v.Values, dY.Values, q.Scales, k.Scales, v.Scales, dY.Scales, statistics, table.Entries, table.Count,
                o.DK.View, o.DV.View, o.DK.Accumulate, o.DV.Accumulate, x.Heads, x.KeyHeads, table.QueryBlocks);
    }

    private static LaunchGrid TensorGrid(int blocks, int tileRows, int threads, int keyHeads, int sharedBytes) =>
        new((long)blocks * (AttentionPlan.BlockRows / tileRows), threads, keyHeads, sharedBytes: sharedBytes);

    // q or dY, all query heads of a key head together.
    private static PackedRows PackQueries(
        CudaDevice cuda, CudaKernel kernel, in AttentionInputs x, in AttentionTable table, TensorView source, float factor)
    {
        PackedRows packed = PackedRows.Take(cuda, table.QueryBlocks, x.KeyHeads, x.HeadSize);
        cuda.Launch(
            kernel, PackGrid(table.QueryBlocks, x.KeyHeads, 1), source, table.Entries, table.Count, factor, packed.Values, packed.Scales,
            x.Heads, x.KeyHeads);
        return packed;
    }

    private static (PackedRows K, PackedRows V) PackSlots(CudaDevice cuda, CudaKernel kernel, in AttentionInputs x, in AttentionTable table)
    {
        PackedRows k = PackedRows.Take(cuda, table.KeyBlocks, x.KeyHeads, x.HeadSize), v = PackedRows.Take(cuda, table.KeyBlocks, x.KeyHeads, x.HeadSize);
        cuda.Launch(
            kernel, PackGrid(table.KeyBlocks, x.KeyHeads, 2), x.K, x.V, table.Entries, table.Count, k.Values, v.Values, k.Scales, v.Scales,
            x.KeyHeads);
        return (k, v);
    }

    private static LaunchGrid PackGrid(int blocks, int keyHeads, int sources) =>
        new((long)blocks * (AttentionPlan.BlockRows / AttentionTensorKernels.PackRows), AttentionTensorKernels.PackThreads, keyHeads, sources);

    private static void Decode(CudaDevice cuda, in AttentionInputs x, in AttentionTable table, TensorView y, TensorView lse)
    {
        int packedRows = table.MostDecodeRows * x.Group, rows = AttentionPlan.DecodeBlockRows(packedRows);
        AttentionDecodeKernels kernels = AttentionDecodeKernels.For(rows, x.HeadSize, table.DecodesNarrow);
        TensorView partials = default, sums = default;
        if (table.Splits > 1)
        {
            partials = cuda.Scratch.Take(new Shape(table.DecodeRows, x.Heads, table.Splits, x.HeadSize));
            sums = cuda.Scratch.Take(new Shape(table.DecodeRows, x.Heads, table.Splits, 2));
        }

        cuda.Launch(
            kernels.Decode, new LaunchGrid(table.Splits, AttentionDecodeKernels.Threads, x.KeyHeads * ((packedRows + rows - 1) / rows), table.Count),
            x.Q, x.K, x.V, table.Entries, x.KeyStart, x.KeyEnd, x.Scale, y, lse, partials, sums, x.Heads, x.KeyHeads, x.HeadSize);
        if (table.Splits > 1)
            cuda.Launch(
                kernels.Merge, new LaunchGrid((long)table.DecodeRows * x.Heads, AttentionDecodeKernels.Threads),
                partials, sums, table.Entries, table.Count, table.Splits, y, lse, x.Heads, x.HeadSize);
    }

    /// <summary>A matrix as attention_pack.cu writes it, in scratch memory: [K, blocks · 128, H] in 16 bits; fp16 with the power of two of every 32 rows.</summary>
    private readonly record struct PackedRows(TensorView Values, TensorView Scales)
    {
        public static PackedRows Take(CudaDevice cuda, int blocks, int keyHeads, int headSize)
        {
            DType element = cuda.Precision == CudaPrecision.Float16 ? DType.F16 : DType.BF16;
            int rows = checked(blocks * AttentionPlan.BlockRows);
            return new PackedRows(
                cuda.Scratch.Take(new Shape(keyHeads, rows, headSize), element),
                element == DType.F16 ? cuda.Scratch.Take(new Shape(keyHeads, rows / AttentionTensorKernels.PackRows)) : default);
        }
    }
}
