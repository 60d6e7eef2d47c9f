namespace GemmaCore.Tensors.Tests;

public sealed class RehearsalDeviceTests
{
    [Fact]
    public void A_rehearsal_counts_memory_that_it_does_not_take()
    {
        using CpuDevice device = CpuDevice.Rehearsal();
        Assert.True(device.IsRehearsal);
        // Four hundred gigabytes: no machine of ours has them.
        DeviceBuffer[] buffers = [.. Enumerable.Range(0, 100).Select(_ => new DeviceBuffer(device, new Shape(1 << 20, 1 << 10), DType.F32))];
        Assert.Equal(100L << 32, device.AllocatedBytes);
        Assert.Equal(100, buffers.Select(buffer => buffer.View.Pointer).Distinct().Count());
        Assert.All(buffers, buffer => Assert.Equal(0, buffer.View.Pointer % 64));
        Assert.All(buffers[7].View.Slice(999, 1).ToFloats(), value => Assert.Equal(0, value));
        foreach (DeviceBuffer buffer in buffers) buffer.Dispose();
        Assert.Equal(0, device.AllocatedBytes);
        Assert.Equal(100L << 32, device.PeakAllocatedBytes);
    }

    [Fact]
    public void Work_is_left_undone()
    {
        using CpuDevice device = CpuDevice.Rehearsal();
        var work = new Failing();
        device.Workers.Run(ref work, 5);
        using var real = new CpuDevice(1);
        Assert.Throws<NotSupportedException>(() =>
        {
            var same = new Failing();
            real.Workers.Run(ref same, 5);
        });
    }

    [Fact]
    public void A_reserved_arena_takes_one_block_for_all_that_was_planned_and_grows_beyond()
    {
        using var device = new CpuDevice(1);
        using var rehearsed = new Arena(device);
        Take(rehearsed);
        long peak = rehearsed.PeakBytes;
        rehearsed.Release();
        Assert.Equal(0, device.AllocatedBytes);
        Assert.Equal(0, rehearsed.PeakBytes);

        rehearsed.Reserve(peak);
        Assert.Equal(Arena.BlockBytes(peak), device.AllocatedBytes);
        for (int step = 0; step < 3; step++)
        {
            rehearsed.Reset();
            Take(rehearsed);
        }

        Assert.Equal(Arena.BlockBytes(peak), device.AllocatedBytes);
        _ = rehearsed.Take(new Shape(1 << 20));
        Assert.True(device.AllocatedBytes > Arena.BlockBytes(peak));

        // More than a growing arena's block, in pieces that would leave gaps at the ends of such blocks.
        static void Take(Arena arena)
        {
            for (int i = 0; i < 9; i++) _ = arena.Take(new Shape(700_000 + i));
        }
    }

    private readonly struct Failing : IWork
    {
        public void Execute(int index) => throw new NotSupportedException();
    }
}
