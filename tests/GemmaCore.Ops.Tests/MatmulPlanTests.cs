using GemmaCore.Cuda;

namespace GemmaCore.Ops.Tests;

public sealed class MatmulPlanTests
{
    // Precision, compute capability, multiprocessors and shared bytes of a block: GTX 1650, T4, A100, RTX 3090, H200 (kernels.md §0.2).
    private static readonly (CudaPrecision Precision, int Architecture, int Multiprocessors, int SharedBytes, bool HasWarpgroups)[] Cards =
    [
        (CudaPrecision.Float32, 75, 14, 65536, false), (CudaPrecision.Float16, 75, 40, 65536, false), (CudaPrecision.BFloat16, 80, 108, 166912, false),
        (CudaPrecision.BFloat16, 86, 82, 101376, false), (CudaPrecision.BFloat16, 90, 132, 232448, false), (CudaPrecision.BFloat16, 90, 132, 232448, true),
    ];

    private static readonly int[] Lengths = [1, 8, 9, 16, 63, 65, 128, 577, 2048, 4304, 10240, 262208];

    public static IEnumerable<(string, int, int, int, string, int, int)> ChosenTiles =>
    [
        ("gtx1650", 520, 396, 44, "Plain", 128, 128), ("t4", 512, 2560, 2560, "Tensor", 128, 128), ("t4", 64, 2560, 2560, "Tensor", 64, 64),
        ("a100", 640, 1400, 72, "Tensor", 64, 64), ("a100", 2048, 10240, 2560, "Tensor", 128, 256), ("rtx3090", 2048, 10240, 2560, "Tensor", 128, 128),
        ("h200", 16, 2560, 2560, "Tensor", 64, 64), ("t4", 8, 10240, 2560, "Rows", 8, 16), ("t4", 1, 256, 1152, "Rows", 1, 2), ("gtx1650", 9, 64, 64, "Plain", 64, 64),
    ];

    /// <summary>
    /// Where all tiles were timed on an H200 with the last round cut into 1 to 16 parts: none took less time by more than 3 %, by 5 % in the last row.
    /// The layout, M, N, K; the tile, those computed whole and the parts of the others.
    /// </summary>
    public static IEnumerable<(int, int, int, int, string)> Measured =>
    [
        (0, 2048, 10240, 2560, "256 x 128, 640 + 0 x 1"), (0, 2048, 2560, 10240, "256 x 128, 132 + 28 x 4"), (0, 512, 10240, 2560, "128 x 256, 132 + 28 x 4"),
        (0, 512, 2560, 10240, "256 x 128, 0 + 40 x 3"), (0, 2048, 2048, 2560, "256 x 128, 128 + 0 x 1"), (0, 512, 2048, 2560, "128 x 128, 0 + 64 x 2"),
        (0, 512, 1024, 2560, "128 x 128, 0 + 32 x 4"), (0, 4096, 1152, 1152, "128 x 128, 264 + 24 x 4"), (0, 4096, 4304, 1152, "128 x 256, 528 + 16 x 4"),
        (0, 128, 10240, 2560, "128 x 256, 0 + 40 x 3"), (1, 2048, 10240, 2560, "128 x 256, 640 + 0 x 1"), (1, 2048, 2560, 10240, "128 x 256, 132 + 28 x 4"),
        (1, 512, 10240, 2560, "128 x 256, 132 + 28 x 4"), (1, 512, 2560, 10240, "128 x 256, 0 + 40 x 3"), (1, 2048, 2048, 2560, "128 x 256, 128 + 0 x 1"),
        (1, 512, 2048, 2560, "128 x 128, 0 + 64 x 2"), (1, 512, 1024, 2560, "64 x 64, 0 + 128 x 3"), (1, 4096, 1152, 1152, "128 x 128, 264 + 24 x 4"),
        (1, 4096, 4304, 1152, "128 x 256, 528 + 16 x 4"), (1, 128, 10240, 2560, "128 x 256, 0 + 40 x 3"),
    ];

    [Theory]
    [MemberData(nameof(Measured))]
    public void An_H200_gets_the_plan_that_took_least_time_on_one(int layout, int m, int n, int k, string expected)
    {
        MatmulPlan plan = MatmulPlan.For((MatmulLayout)layout, m, n, k, 0, CudaPrecision.BFloat16, 90, 132, hasWarpgroups: false);
        Assert.Equal(expected, $"{plan.TileRows} x {plan.TileColumns}, {plan.Whole} + {plan.Tiles - plan.Whole} x {plan.Splits}");
    }

    /// <summary>The same for tiles of warpgroups on an H100: the time in microseconds of the plan there, and the least that any took.</summary>
    public static IEnumerable<(int, int, int, int, string)> MeasuredInWarpgroups =>
    [
        (0, 2048, 10240, 2560, "128 x 256, 640 + 0 x 1"), // 204, least 204
        (0, 512, 2560, 10240, "128 x 256, 0 + 40 x 3"), // 58, 58
        (0, 2048, 2048, 2560, "128 x 256, 128 + 0 x 1"), // 40, 40
        (0, 4096, 1152, 1152, "256 x 192, 96 + 0 x 1"), // 33, 33
        (0, 128, 10240, 2560, "128 x 256, 0 + 40 x 3"), // 37, 37
        (1, 2048, 10240, 2560, "128 x 256, 640 + 0 x 1"), // 188, 188
        (1, 512, 2560, 10240, "128 x 256, 0 + 40 x 3"), // 54, 54
        (1, 4096, 1152, 1152, "256 x 192, 96 + 0 x 1"), // 32, 32
    ];

    [Theory]
    [MemberData(nameof(MeasuredInWarpgroups))]
    public void An_H100_gets_the_plan_that_took_least_time_on_one(int layout, int m, int n, int k, string expected)
    {
        MatmulPlan plan = MatmulPlan.For((MatmulLayout)layout, m, n, k, 0, CudaPrecision.BFloat16, 90, 132, hasWarpgroups: true);
        Assert.Equal(expected, $"{plan.TileRows} x {plan.TileColumns}, {plan.Whole} + {plan.Tiles - plan.Whole} x {plan.Splits}");
    }

    [Theory]
    [MemberData(nameof(ChosenTiles))]
    public void Tiles_follow_the_size_of_the_product_and_of_the_card(string card, int m, int n, int k, string path, int rows, int columns)
    {
        (CudaPrecision precision, int architecture, int multiprocessors, int _, bool _) = Cards[Array.IndexOf(["gtx1650", "t4", "a100", "rtx3090", "h200"], card)];
        MatmulPlan plan = MatmulPlan.For(MatmulLayout.NT, m, n, k, 0, precision, architecture, multiprocessors, hasWarpgroups: false);
        Assert.Equal((path, rows, columns), (plan.Path.ToString(), plan.TileRows, plan.TileColumns));
    }

    [Fact]
    public void Blocks_cover_every_product_within_the_limits_of_the_card()
    {
        foreach ((CudaPrecision precision, int architecture, int multiprocessors, int sharedBytes, bool hasWarpgroups) in Cards)
            foreach (MatmulLayout layout in Enum.GetValues<MatmulLayout>())
                foreach (int m in Lengths)
                    foreach (int n in Lengths)
                        foreach (int k in Lengths)
                        {
                            MatmulPlan plan = MatmulPlan.For(layout, m, n, k, 16, precision, architecture, multiprocessors, hasWarpgroups);
                            string at = $"{precision} {layout} {m} x {n} x {k}: {plan}";
                            Assert.True(plan.Path == MatmulPath.Rows == (layout == MatmulLayout.NT && m <= 8), at);
                            long tiles = plan.Path == MatmulPath.Rows ? 1 : (m + plan.TileRows - 1) / plan.TileRows;
                            tiles *= (n + plan.TileColumns - 1) / plan.TileColumns;
                            Assert.True(plan.Tiles == tiles && plan.Whole >= 0 && plan.Whole <= tiles && plan.Blocks <= int.MaxValue, at);
                            Assert.True(plan.Blocks == plan.Whole + ((tiles - plan.Whole) * plan.Splits), at);
                            Assert.True(plan.Splits == 1 || (k + 16) / plan.Splits >= 256, at);
                            Assert.True(plan.SharedBytes <= sharedBytes && plan.Threads is 128 or 256, at);
                        }
    }

    [Fact]
    public void A_long_sum_with_few_results_is_split_until_the_card_is_busy()
    {
        // dA of a rank-16 adapter over 8192 tokens: 40 tiles of 64 x 64 for 108 multiprocessors that hold four each.
        MatmulPlan plan = MatmulPlan.For(MatmulLayout.TN, 16, 2560, 8192, 0, CudaPrecision.BFloat16, 80, 108, hasWarpgroups: false);
        Assert.Equal((64, 8, 320), (plan.TileColumns, plan.Splits, plan.Blocks));
        // One token against few outputs: four warps share each pair of them.
        Assert.Equal(4, MatmulPlan.For(MatmulLayout.NT, 1, 1024, 2560, 0, CudaPrecision.BFloat16, 80, 108, hasWarpgroups: false).Splits);
        Assert.Equal(1, MatmulPlan.For(MatmulLayout.NT, 1, 10240, 2560, 0, CudaPrecision.BFloat16, 80, 108, hasWarpgroups: false).Splits);
    }
}
