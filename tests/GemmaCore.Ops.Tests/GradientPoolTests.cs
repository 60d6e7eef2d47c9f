using GemmaCore.Tensors;

namespace GemmaCore.Ops.Tests;

public sealed class GradientPoolTests
{
    [Fact]
    public void After_the_largest_pass_smaller_ones_allocate_nothing()
    {
        using var device = new CpuDevice(1);
        using var pool = new GradientPool(device);
        Pass(device, pool, 1000);
        long taken = device.AllocatedBytes;
        foreach (int rows in new[] { 999, 640, 120, 7, 1000 })
        {
            Pass(device, pool, rows);
            Assert.Equal(taken, device.AllocatedBytes);
        }
    }

    [Fact]
    public void A_reserved_pool_is_as_one_that_has_seen_the_largest_pass()
    {
        using CpuDevice device = new(1), other = new(1);
        using GradientPool seen = new(device), reserved = new(other);
        Pass(device, seen, 1000);
        reserved.Reserve(seen.FreeSizes);
        Assert.Equal(device.AllocatedBytes, other.AllocatedBytes);
        Pass(other, reserved, 1000);
        Assert.Equal(device.AllocatedBytes, other.AllocatedBytes);
        reserved.Release();
        Assert.Equal(0, other.AllocatedBytes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(12_345_678_901)]
    public void A_mask_that_begins_later_is_the_rest_of_the_whole_one(long first)
    {
        Dropout whole = new(0.3f, seed: 5, id: 9), rest = new(0.3f, seed: 5, id: 9, first);
        for (int i = 0; i < 200; i++) Assert.Equal(whole.Factor(first + i), rest.Factor(i));
        Assert.Contains(0f, Enumerable.Range(0, 200).Select(i => whole.Factor(first + i)));
    }

    // Gradients of different sizes, some alive together: each of the views stands for an activation.
    private static void Pass(CpuDevice device, GradientPool pool, int rows)
    {
        TensorView[] activations = [.. new[] { 16, 48, 16, 64 }.Select((columns, i) => new TensorView(1000 + i, new Shape(rows, columns), DType.F32, device))];
        _ = pool.FindOrTake(activations[0], out _);
        _ = pool.FindOrTake(activations[1], out _);
        pool.Return(activations[0]);
        _ = pool.FindOrTake(activations[2], out _);
        pool.Return(activations[1]);
        _ = pool.FindOrTake(activations[3], out _);
        pool.ReturnAll();
    }
}
