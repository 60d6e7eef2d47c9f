using CsCheck;

namespace GemmaCore.Training.Tests;

public class EpochOrderTests
{
    [Fact]
    public void Every_order_is_a_permutation() => Gen.Select(Gen.Int[0, 300], Gen.Int[0, 1000], Gen.Int[-1, 50]).Sample((count, seed, epoch) =>
        EpochOrder.Of(count, seed, epoch).Order().SequenceEqual(Enumerable.Range(0, count)));

    // The order is part of the promise that a run can be repeated: these values may not change between versions.
    [Fact]
    public void The_order_is_always_the_same() => Assert.Equal(EpochOrder.Of(8, 42, 0), Reference(8, 42, 0));

    [Fact]
    public void Seeds_and_epochs_give_different_orders()
    {
        int[][] orders = [EpochOrder.Of(50, 1, 0), EpochOrder.Of(50, 1, 1), EpochOrder.Of(50, 2, 0), EpochOrder.Of(50, 2, -1)];
        Assert.Equal(4, orders.Select(order => string.Join(',', order)).Distinct().Count());
    }

    [Fact]
    public void Every_row_is_as_likely_at_the_first_place()
    {
        var counts = new int[10];
        for (int epoch = 0; epoch < 10_000; epoch++) counts[EpochOrder.Of(10, 7, epoch)[0]]++;
        Assert.All(counts, count => Assert.InRange(count, 850, 1150)); // 1000 expected, five standard deviations of 30
    }

    // SplitMix64 and Fisher–Yates once more, in other arithmetic.
    private static int[] Reference(int count, int seed, int epoch)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        UInt128 mask = ulong.MaxValue, state = ((UInt128)(uint)seed << 32) + (uint)epoch;
        for (int i = count - 1; i > 0; i--)
        {
            state = (state + 0x9E3779B97F4A7C15) & mask;
            UInt128 z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask;
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask;
            int j = (int)((z ^ (z >> 31)) % (UInt128)(i + 1));
            (order[i], order[j]) = (order[j], order[i]);
        }

        return order;
    }
}
