using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

/// <summary>Eight rows of x by one matrix, so many rows a pass, for tests that want the same bits of all.</summary>
internal static class FewRows
{
    public const int Count = 8;

    /// <returns>y [8, O] with a bias, for each of the counts of rows in a pass.</returns>
    public static float[][] Products(int threads, int outputs, int inputs, Func<QuantizedSample, WeightMatrix> weight, params int[] rowsOfAPass)
    {
        using var fixture = new OpFixture(threads);
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 10);
        var sample = new Sample(5);
        TensorView x = fixture.Of(new Shape(Count, inputs), sample.Floats(Count * inputs)), bias = fixture.Of(new Shape(outputs), sample.Floats(outputs));
        return Array.ConvertAll(rowsOfAPass, pass =>
        {
            TensorView y = fixture.Empty(new Shape(Count, outputs));
            for (int first = 0; first < Count; first += pass)
            {
                int rows = Math.Min(pass, Count - first);
                weight(quantised).Multiply(x.Slice(first, rows), bias, y.Slice(first, rows), null);
            }

            return y.ToFloats();
        });
    }
}
