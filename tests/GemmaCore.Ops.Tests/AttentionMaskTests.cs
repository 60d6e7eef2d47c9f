using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

/// <summary>What rows see: the cases where a tile of keys is hidden from some of its rows, or from all.</summary>
public sealed class AttentionMaskTests
{
    // Head sizes of the f32 kernels and of the tensor-core kernels; schedules rotate over the cases.
    public static IEnumerable<(string, int)> HeadSizes => [.. TestDevices.Spread([16, 64, 72]), .. WideHeads];

    // Heads of 256 have kernels of their own where a card multiplies in warpgroups, and where its shared memory is large enough.
    public static IEnumerable<(string, int)> WideHeads => TestDevices.UsesRealGpu ? [] : [("h200/priority", 256), ("h200/adversarial", 256), ("a100/random", 256)];

    public static IEnumerable<(string, int)> Windows => TestDevices.Spread([1, 7, 97]);

    [Theory]
    [MemberData(nameof(Windows))]
    public void A_sliding_window_hides_what_lies_behind_it(string device, int window)
    {
        AttentionCase.Causal(3, 150, 4, 2, 16, window).CheckForward(device);
        AttentionCase c = AttentionCase.Causal(8, 150, 2, 1, 64, window);
        c.CheckForward(device);
        c.CheckBackward(device);
    }

    // Spans [10, 50) and [90, 140) cross tiles of 32 and 64 keys and of 16, 32 and 64 rows; every token of a span sees to its end.
    [Theory]
    [MemberData(nameof(HeadSizes))]
    public void A_picture_across_tiles_sees_itself_both_ways(string device, int headSize)
    {
        int[] slots = [.. Enumerable.Range(0, 140)];
        var c = new AttentionCase(4, 2, 1, headSize, new int[140], Array.ConvertAll(slots, i => i is >= 10 and < 50 ? 50 : i >= 90 ? 140 : i + 1));
        c.CheckForward(device);
        c.CheckBackward(device);
    }

    [Theory]
    [MemberData(nameof(HeadSizes))]
    public void Documents_packed_into_one_sequence_do_not_see_each_other(string device, int headSize)
    {
        int[] slots = [.. Enumerable.Range(0, 120)];
        var c = new AttentionCase(5, 2, 1, headSize, Array.ConvertAll(slots, i => i < 37 ? 0 : i < 101 ? 37 : 101), Array.ConvertAll(slots, i => i + 1));
        c.CheckForward(device);
        c.CheckBackward(device);
    }

    // Rows 32 to 43 see only slots from 100 on, the other rows of their tile see all: with a finite score for "hidden", the first tile of keys would leave
    // them with exp2(±1e22) (kernels.md §1.0).
    [Theory]
    [MemberData(nameof(HeadSizes))]
    public void A_row_whose_first_key_tile_is_fully_masked_is_exact(string device, int headSize)
    {
        int[] start = [.. Enumerable.Range(0, 150).Select(i => i is >= 32 and < 44 ? 100 : 0)];
        var c = new AttentionCase(6, 1, 1, headSize, start, [.. Enumerable.Repeat(150, 150)]);
        c.CheckForward(device);
        c.CheckBackward(device);
    }

    [Theory]
    [MemberData(nameof(HeadSizes))]
    public void A_row_that_sees_nothing_gives_zeros_and_gradients_stay_finite(string device, int headSize)
    {
        // 3 rows take the decoding kernel of a card, 40 its tiles.
        foreach (int rows in (int[])[3, 40])
        {
            AttentionCase c = AttentionCase.Causal(6, rows, 2, 1, headSize);
            c.Start[1] = c.End[1] = 0;
            int first = 2 * headSize, end = 4 * headSize;
            using (var fixture = new OpFixture(device))
            {
                (float[] y, float[] lse) = c.Forward(fixture);
                Assert.All(y[first..end], value => Assert.Equal(0, value));
                Assert.All(lse[2..4], value => Assert.Equal(float.NegativeInfinity, value));
                Assert.InRange(Tolerance.RelativeError(y, c.Reference()), 0, c.ForwardBound(fixture.Device));
            }

            using var training = new OpFixture(device);
            float[][] gradients = c.Backward(training);
            Assert.All(gradients, g => Assert.All(g, value => Assert.True(float.IsFinite(value))));
            Assert.All(gradients[0][first..end], value => Assert.Equal(0, value));
        }
    }

    [Theory]
    [MemberData(nameof(HeadSizes))]
    public void A_batch_that_sees_nothing_at_all_is_zero(string device, int headSize)
    {
        var c = new AttentionCase(7, 2, 1, headSize, new int[20], new int[20]);
        using var fixture = new OpFixture(device);
        (float[] y, float[] lse) = c.Forward(fixture);
        Assert.All(y, value => Assert.Equal(0, value));
        Assert.All(lse, value => Assert.Equal(float.NegativeInfinity, value));
    }
}
