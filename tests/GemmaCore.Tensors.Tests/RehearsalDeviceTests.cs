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
    public void Pieces_of_any_size_lie_apart_and_read_as_zeros_whatever_was_written_and_given_back_before()
    {
        using CpuDevice device = CpuDevice.Rehearsal();
        var random = new Random(5);
        var kept = new List<DeviceBuffer>();
        // Around all that a block is cut by: nothing, a line of 64 bytes, half a block of 64 MiB and more.
        int[] sizes = [0, 1, 15, 16, 17, 4096, (8 << 20) - 17, (8 << 20) - 1, 8 << 20, (8 << 20) + 1];
        for (int i = 0; i < 400; i++)
        {
            var buffer = new DeviceBuffer(device, new Shape(sizes[random.Next(sizes.Length)]), DType.F32);
            Assert.Equal(0, buffer.View.Pointer % 64);
            int ends = Math.Min(40, buffer.View.Shape.Columns);
            Assert.All(buffer.View.Slice(0, ends).ToFloats(), value => Assert.Equal(0, value));
            Assert.All(buffer.View.Slice(buffer.View.Shape.Columns - ends, ends).ToFloats(), value => Assert.Equal(0, value));
            float[] mark = [.. Enumerable.Repeat(1f + i, ends)];
            buffer.View.Slice(0, ends).CopyFrom(mark);
            buffer.View.Slice(buffer.View.Shape.Columns - ends, ends).CopyFrom(mark);
            if (random.Next(3) == 0) buffer.Dispose();
            else kept.Add(buffer);
        }

        DeviceBuffer[] inOrder = [.. kept.OrderBy(buffer => buffer.View.Pointer)];
        for (int i = 1; i < inOrder.Length; i++) Assert.True(inOrder[i - 1].View.Pointer + Math.Max(1, inOrder[i - 1].View.ByteCount) <= inOrder[i].View.Pointer);
        Assert.Equal(kept.Sum(buffer => buffer.View.ByteCount), device.AllocatedBytes);
        foreach (DeviceBuffer buffer in kept) buffer.Dispose();
        Assert.Equal(0, device.AllocatedBytes);
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
