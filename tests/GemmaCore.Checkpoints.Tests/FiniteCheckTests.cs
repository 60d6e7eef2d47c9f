using CsCheck;
using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints.Tests;

public sealed class FiniteCheckTests : IDisposable
{
    private readonly CpuDevice _device = new(1);

    public void Dispose() => _device.Dispose();

    [Fact]
    public void The_first_bad_element_is_found_wherever_it_lies() =>
        Gen.Select(Gen.Int[1, 200], Gen.Int[0, 2], Gen.Int[0, 200].Array[0, 3], Gen.Int[0, 2]).Sample(
            (count, dtype, bad, kind) =>
            {
                ushort[] halves = dtype == 1 ? [0x7C00, 0xFC00, 0x7E01] : [0x7F80, 0xFF80, 0x7FC1];
                float single = kind == 0 ? float.NaN : kind == 1 ? float.PositiveInfinity : float.NegativeInfinity;
                using var buffer = new DeviceBuffer(_device, new Shape(count), (DType)dtype);
                bad = [.. bad.Where(index => index < count)];
                if (dtype == 0)
                {
                    buffer.View.AsSpan<float>().Fill(float.MaxValue);
                    foreach (int index in bad) buffer.View.AsSpan<float>()[index] = single;
                }
                else
                {
                    buffer.View.AsSpan<ushort>().Fill((ushort)(halves[0] - 1));
                    foreach (int index in bad) buffer.View.AsSpan<ushort>()[index] = halves[kind];
                }

                Assert.Equal(bad.Length == 0 ? -1 : bad.Min(), FiniteCheck.FirstNonFinite(buffer.View));
            },
            threads: 1);

    [Fact]
    public void Of_several_chunks_the_first_bad_element_counts()
    {
        using var buffer = new DeviceBuffer(_device, new Shape(3, 1 << 20), DType.BF16);
        _device.Clear(buffer.View);
        buffer.View.AsSpan<ushort>()[(2 << 20) + 5] = 0x7F80;
        Assert.Equal((2 << 20) + 5, FiniteCheck.FirstNonFinite(buffer.View));
        buffer.View.AsSpan<ushort>()[(1 << 20) + 3] = 0xFFFF;
        Assert.Equal((1 << 20) + 3, FiniteCheck.FirstNonFinite(buffer.View));
    }
}
