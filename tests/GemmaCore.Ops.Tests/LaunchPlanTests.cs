using GemmaCore.Cuda;

namespace GemmaCore.Ops.Tests;

/// <summary>Grids are functions of the shape and of the card's size: no device is needed to check them.</summary>
public sealed class LaunchPlanTests
{
    private static readonly RowKernel Norm = new("rms_norm.cu", "rms_norm_forward");

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(4, 1152, 1)]
    [InlineData(5, 1152, 2)]
    [InlineData(int.MaxValue, 8, 1 << 29)]
    public void Four_short_rows_share_a_block(int rows, int columns, int blocks)
    {
        Assert.Equal(new LaunchGrid(blocks, 128), RowKernel.Grid(rows, columns));
        Assert.Equal("-DROW_THREADS=32", Norm.For(columns).Defines);
    }

    [Theory]
    [InlineData(1, 1153)]
    [InlineData(777, 10_240)]
    public void A_long_row_has_a_block_of_its_own(int rows, int columns)
    {
        Assert.Equal(new LaunchGrid(rows, 256), RowKernel.Grid(rows, columns));
        Assert.Equal("-DROW_THREADS=256", Norm.For(columns).Defines);
    }

    [Theory]
    [InlineData(1, 14, 1)]
    [InlineData(1024, 14, 1)]
    [InlineData(1025, 14, 2)]
    [InlineData(1L << 40, 14, 112)]
    [InlineData(1L << 40, 132, 1056)]
    public void Elements_fill_the_card_at_most_once(long elements, int multiprocessors, int blocks) =>
        Assert.Equal(new LaunchGrid(blocks, 256), ElementGrid.Over(elements, multiprocessors));
}
