using GemmaCore.Cuda;

namespace GemmaCore.Ops.Tests;

public sealed class MatmulPlanTests
{
    // Precision, compute capability, multiprocessors and shared bytes of a block: GTX 1650, T4, A100, RTX 3090, H200 (kernels.md §0.2).
    private static readonly (CudaPrecision Precision, int Architecture, int Multiprocessors, int SharedBytes)[] Cards =
    [
        (CudaPrecision.Float32, 75, 14, 65536), (CudaPrecision.Float16, 75, 40, 65536), (CudaPrecision.BFloat16, 80, 108, 166912),
        (CudaPrecision.BFloat16, 86, 82, 101376), (CudaPrecision.BFloat16, 90, 132, 232448),
    ];

    private static readonly int[] Lengths = [1, 8, 9, 16, 63, 65, 128, 577, 2048, 4304, 10240, 262208];

    public static IEnumerable<(string, int, int, int, string, int, int)> ChosenTiles =>
    [
        ("gtx1650", 520, 396, 44, "Plain", 128, 128), ("t4", 370, 896, 40, "Tensor", 128, 128), ("a100", 640, 1400, 72, "Tensor", 128, 128),
        ("a100", 640, 3400, 40, "Tensor", 128, 256), ("h200", 640, 3400, 168, "Tensor", 128, 256), ("rtx3090", 640, 3400, 168, "Tensor", 128, 128),
        ("h200", 16, 2560, 2560, "Tensor", 64, 64), ("t4", 8, 10240, 2560, "Rows", 8, 16), ("t4", 1, 256, 1152, "Rows", 1, 2), ("gtx1650", 9, 64, 64, "Plain", 64, 64),
    ];

    [Theory]
    [MemberData(nameof(ChosenTiles))]
    public void Tiles_follow_the_size_of_the_product_and_of_the_card(string card, int m, int n, int k, string path, int rows, int columns)
    {
        (CudaPrecision precision, int architecture, int multiprocessors, int _) = Cards[Array.IndexOf(["gtx1650", "t4", "a100", "rtx3090", "h200"], card)];
        MatmulPlan plan = MatmulPlan.For(MatmulLayout.NT, m, n, k, 0, precision, architecture, multiprocessors);
        Assert.Equal((path, rows, columns), (plan.Path.ToString(), plan.TileRows, plan.TileColumns));
    }

    [Fact]
    public void Blocks_cover_every_product_within_the_limits_of_the_card()
    {
        foreach ((CudaPrecision precision, int architecture, int multiprocessors, int sharedBytes) in Cards)
            foreach (MatmulLayout layout in Enum.GetValues<MatmulLayout>())
                foreach (int m in Lengths)
                    foreach (int n in Lengths)
                        foreach (int k in Lengths)
                        {
                            MatmulPlan plan = MatmulPlan.For(layout, m, n, k, 16, precision, architecture, multiprocessors);
                            string at = $"{precision} {layout} {m} x {n} x {k}: {plan}";
                            Assert.True(plan.Path == MatmulPath.Rows == (layout == MatmulLayout.NT && m <= 8), at);
                            long tiles = plan.Path == MatmulPath.Rows ? 1 : (m + plan.TileRows - 1) / plan.TileRows;
                            tiles *= (n + plan.TileColumns - 1) / plan.TileColumns;
                            Assert.True(plan.Blocks == (plan.Path == MatmulPath.Rows ? tiles : tiles * plan.Splits) && plan.Blocks <= int.MaxValue, at);
                            Assert.True(plan.Splits == 1 || (k + 16) / plan.Splits >= 256, at);
                            Assert.True(plan.SharedBytes <= sharedBytes && plan.Threads is 128 or 256, at);
                        }
    }

    [Fact]
    public void A_long_sum_with_few_results_is_split_until_the_card_is_busy()
    {
        // dA of a rank-16 adapter over 8192 tokens: 40 tiles of 64 x 64 for 108 multiprocessors that hold two each.
        MatmulPlan plan = MatmulPlan.For(MatmulLayout.TN, 16, 2560, 8192, 0, CudaPrecision.BFloat16, 80, 108);
        Assert.Equal((64, 5, 200), (plan.TileColumns, plan.Splits, plan.Blocks));
        // One token against few outputs: four warps share each pair of them.
        Assert.Equal(4, MatmulPlan.For(MatmulLayout.NT, 1, 1024, 2560, 0, CudaPrecision.BFloat16, 80, 108).Splits);
        Assert.Equal(1, MatmulPlan.For(MatmulLayout.NT, 1, 10240, 2560, 0, CudaPrecision.BFloat16, 80, 108).Splits);
    }
}
