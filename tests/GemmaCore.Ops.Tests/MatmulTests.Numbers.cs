using System.Runtime.InteropServices;
using GemmaCore.Cuda;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

// Numbers at which an error shows that a tolerance would hide: exact ones, tiny and huge ones, and those that are none.
public sealed partial class MatmulTests
{
    public static IEnumerable<(string, int, int, int)> Products =>
        from row in TestDevices.Spread<(int Layout, int Tile, int Multiprocessors)>(
            from layout in (int[])[0, 1, 2] from tile in (int[])[0, 1, 2, 3] from count in (int[])[1, 3] select (layout, tile, count))
        where row.Device != "cpu"
        select (row.Device, row.Case.Layout, row.Case.Tile, row.Case.Multiprocessors);

    /// <summary>Small integers are exact in every type and sum: a product that is missing, doubled or misplaced cannot hide behind a tolerance.</summary>
    [Theory]
    [MemberData(nameof(Products))]
    public void Integers_are_multiplied_exactly_by_every_tile_and_layout(string device, int layout, int tile, int multiprocessors)
    {
        using var fixture = new OpFixture(device);
        var cuda = (CudaDevice)fixture.Device;
        // No tile covers it without a rest. A card of one multiprocessor takes all tiles whole; one of three has a last round, which it cuts.
        const int m = 250, n = 500, k = 552, r = 20;
        bool transposed = layout == (int)MatmulLayout.TN, pair = !transposed;
        MatmulPlan plan = MatmulPlan.For((MatmulLayout)layout, m, n, k, pair ? r : 0, cuda.Precision, cuda.Architecture, multiprocessors, cuda.HasWarpgroups);
        if (plan.Path is MatmulPath.Tensor or MatmulPath.Warpgroup)
        {
            ReadOnlySpan<MatmulTile> tiles = MatmulTile.Of((MatmulLayout)layout, cuda.Precision, cuda.Architecture, cuda.HasWarpgroups);
            plan = MatmulPlan.ForTensor(tiles[tile % tiles.Length], m, n, k + (pair ? r : 0), multiprocessors).Plan;
        }

        var sample = new Sample(9);
        float[] Integers(int count) => Array.ConvertAll(new float[count], _ => (float)(sample.Below(17) - 8));
        float[] a = Integers(m * k), b = Integers(n * k), a2 = Integers(m * r), b2 = Integers(n * r), bias = Integers(n), start = Integers(m * n);
        TensorView c = fixture.Of(new Shape(m, n), start);
        bool byOutput = layout == (int)MatmulLayout.NT;

        Matmul.Run(cuda, (MatmulLayout)layout, new Matmul.MatmulOperands
        {
            A = fixture.Of(transposed ? new Shape(k, m) : new Shape(m, k), a), M = m, N = n, K = k, R = pair ? r : 0, Alpha = 2, Accumulate = true, C = c,
            B = fixture.Weights(byOutput ? new Shape(n, k) : new Shape(k, n), b, transposed ? DType.F32 : DType.BF16), Bias = fixture.Of(new Shape(n), bias),
            A2 = pair ? fixture.Of(new Shape(m, r), a2) : default, B2 = pair ? fixture.Of(byOutput ? new Shape(n, r) : new Shape(r, n), b2) : default,
        }, plan);

        double[] Product(float[] left, float[] right, int depth) => MatmulReference.Forward<double, RealFunctions>(
            transposed ? MatmulReference.Transpose(Sample.Widen(left), m) : Sample.Widen(left),
            byOutput ? Sample.Widen(right) : MatmulReference.Transpose(Sample.Widen(right), n), [], depth);

        double[] first = Product(a, b, k), second = pair ? Product(a2, b2, r) : new double[m * n];
        float[] expected = [.. first.Select((value, i) => (float)(2 * (value + second[i]) + bias[i % n] + start[i]))];
        Assert.Equal(expected, c.ToFloats());
    }

    // Only fp32 products keep every half: bf16 has fewer bits.
    [Theory]
    [InlineData("cpu")]
    [InlineData("gtx1650/random")]
    public void Every_half_widens_as_the_platform_widens_it(string device)
    {
        using var fixture = new OpFixture(device);
        var bits = new ushort[1 << 16];
        for (int i = 0; i < bits.Length; i++) bits[i] = (ushort)i;
        Half[] finite = [.. Array.ConvertAll(bits, BitConverter.UInt16BitsToHalf).Where(Half.IsFinite)];
        TensorView w = Place(fixture, new Shape(finite.Length / 16, 16), DType.F16, MemoryMarshal.AsBytes<Half>(finite), 2);
        var identity = new float[16 * 16];
        for (int i = 0; i < 16; i++) identity[i * 17] = 1;
        TensorView x = fixture.Of(new Shape(16, 16), identity), y = fixture.Empty(new Shape(16, finite.Length / 16));

        Matmul.Forward(x, w, default, y, null);

        double[] expected = MatmulReference.Transpose(Array.ConvertAll(finite, h => (double)h), 16);
        Assert.Equal(expected, Sample.Widen(y.ToFloats()));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Rows_of_any_magnitude_keep_their_relative_accuracy(string device)
    {
        using var fixture = new OpFixture(device);
        const int rows = 24, inputs = 72, outputs = 40;
        var sample = new Sample(10);
        float[] x = sample.Floats(rows * inputs);
        // Row by row from 1e-30 to 1e30; fp16 itself ends at 6e4.
        for (int i = 0; i < x.Length; i++) x[i] *= MathF.Pow(10, -30 + i / inputs * (60f / (rows - 1)));
        TensorView w = Weights(fixture, sample, new Shape(outputs, inputs), DType.BF16), y = fixture.Empty(new Shape(rows, outputs));

        Matmul.Forward(fixture.Of(new Shape(rows, inputs), x), w, default, y, null);

        double[] matrix = Sample.Widen(w.ToFloats());
        double[] expected = MatmulReference.Forward<double, RealFunctions>(Sample.Widen(x), matrix, [], inputs);
        double error = Tolerance.ScaledError(y.ToFloats(), expected, Scales(Sample.Widen(x), matrix, inputs));
        Assert.InRange(error, 0, Tolerance.RoundedProducts(Tolerance.MatrixUnit(fixture.Device), inputs));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void What_is_not_finite_stays_in_its_row_and_stays_visible(string device)
    {
        using var fixture = new OpFixture(device);
        foreach (int rows in (int[])[4, 20])
        {
            float[] x = new Sample(11).Floats(rows * 40), w = new Sample(12).Floats(24 * 40, 0.5f, 1), y1, y2;
            float[] Product()
            {
                TensorView y = fixture.Empty(new Shape(rows, 24));
                Matmul.Forward(fixture.Of(new Shape(rows, 40), x), fixture.Of(new Shape(24, 40), w), default, y, null);
                return y.ToFloats();
            }

            y1 = Product();
            (x[40 + 3], x[2 * 40 + 5]) = (float.NaN, float.NegativeInfinity);
            y2 = Product();

            Assert.All(y2[24..48], value => Assert.True(float.IsNaN(value)));
            Assert.All(y2[48..72], value => Assert.Equal(float.NegativeInfinity, value));
            Assert.Equal(y1[..24], y2[..24]);
            Assert.Equal(y1[72..], y2[72..]);
        }
    }
}
