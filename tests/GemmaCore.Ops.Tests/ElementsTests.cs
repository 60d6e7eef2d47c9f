using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

public sealed class ElementsTests
{
    // A scale is loaded alone, by a conversion of our own: y = 1 · scale of every half there is, one a row.
    [Fact]
    public void Every_half_is_widened_as_dotnet_widens_it()
    {
        using var fixture = new OpFixture();
        const int count = 1 << 16;
        using var codes = new DeviceBuffer(fixture.Device, new Shape(count, 1), DType.I8);
        using var scales = new DeviceBuffer(fixture.Device, new Shape(count, 1), DType.F16);
        codes.View.AsSpan<sbyte>().Fill(1);
        Span<Half> halves = scales.View.AsSpan<Half>();
        for (int i = 0; i < count; i++) halves[i] = BitConverter.UInt16BitsToHalf((ushort)i);
        TensorView y = fixture.Empty(new Shape(1, count));

        MatmulInt8Group.Forward(fixture.Of(new Shape(1, 1), [1]), new Int8GroupMatrix(codes.View, scales.View), default, y, null);

        float[] widened = y.ToFloats();
        Assert.All(Enumerable.Range(0, count), i => Assert.Equal((float)BitConverter.UInt16BitsToHalf((ushort)i), widened[i]));
    }
}
