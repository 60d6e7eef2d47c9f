using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

/// <summary>Times y = x·wᵀ of a quantised matrix; the formats' benchmarks differ in how they make one.</summary>
internal static class QuantizedProduct
{
    // Decoding and prefill of the 1b and 4b shapes.
    private static readonly (int Rows, int Outputs, int Inputs)[] Cases =
        [(1, 6912, 1152), (1, 1152, 6912), (1, 10240, 2560), (1, 2560, 10240), (2, 6912, 1152), (4, 6912, 1152), (8, 6912, 1152),
         (8, 2560, 10240), (128, 6912, 1152), (512, 6912, 1152)];

    private static readonly (int Rows, int Outputs, int Inputs)[] CardCases =
        [(16, 256, 256), (1, 10240, 2560), (1, 2560, 10240), (8, 10240, 2560), (512, 10240, 2560), (2048, 10240, 2560)];

    /// <summary>Quantises a random matrix [O, K].</summary>
    /// <returns>What puts a copy on the device, whose memory goes to the list; and what the matrix stands for by the reference.</returns>
    public delegate (Func<List<DeviceBuffer>, WeightMatrix> Place, Func<double[]> Dense) Maker(Device device, int outputs, int inputs);

    public static void Run(Stopclock clock, string operation, Maker make)
    {
        clock.Heading($"{operation} forward, y[T, O] = x[T, K]·wᵀ");
        foreach ((int rows, int outputs, int inputs) in clock.Choose(Cases, CardCases, [(3, 40, 64), (20, 40, 64)])) Time(clock, make, rows, outputs, inputs);
    }

    private static void Time(Stopclock clock, Maker make, int rows, int outputs, int inputs)
    {
        Device device = clock.Device;
        string name = $"T {rows}, O {outputs}, K {inputs}";
        var owned = new List<DeviceBuffer>();
        using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, inputs), new Sample(1).Floats(rows * inputs));
        using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, outputs));
        (Func<List<DeviceBuffer>, WeightMatrix> place, Func<double[]> dense) = make(device, outputs, inputs);
        WeightMatrix Load()
        {
            WeightMatrix matrix = place(owned);
            (matrix as QuantizedMatrix)?.Arrange(); // as models do it
            return matrix;
        }

        WeightMatrix first = Load();
        // Decoding meets every weight cold: enough copies to outgrow the caches.
        int copies = rows <= 8 && !clock.Tiny ? (int)Math.Clamp((256L << 20) / first.ByteCount, 2, 256) : 1;
        WeightMatrix[] matrices = [first, .. Enumerable.Range(1, copies - 1).Select(_ => Load())];
        void Forward(int i) => matrices[i % copies].Multiply(x.View, default, y.View, null);

        Forward(0);
        if (device is CpuDevice || Stopclock.Verifies((double)rows * outputs * inputs))
        {
            double[] expected = MatmulReference.Forward<double, RealFunctions>(Sample.Widen(x.View.ToFloats()), dense(), [], inputs);
            Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(inputs) + clock.Rounding + (device is CpuDevice ? Rounding(first, rows, inputs) : 0));
        }

        clock.Time(name, first.ByteCount + 4.0 * rows * (inputs + outputs), 2.0 * rows * outputs * inputs, Forward);
        foreach (DeviceBuffer buffer in owned) buffer.Dispose();
    }

    // Half a step of x and the error of a value, as the operation rounds a few rows on some processors. They have no bias, so they grow as y does.
    private static double Rounding(WeightMatrix matrix, int rows, int inputs) =>
        matrix is Nf4Matrix && Nf4Dots.RoundsOperands && Nf4Dots.Suits(rows, inputs) ? 0.5 / short.MaxValue + Nf4Integers.LargestError : 0;
}
