using GemmaCore.Tensors;

namespace GemmaCore.Ops.Tests;

/// <summary>
/// What the path for a few rows without AVX-512 may be off by because it multiplies integers: every value of NF4 by <see cref="Nf4Integers.LargestError"/> of its block's
/// magnitude, every element of x by half a step of its block, which is 1/32767 of the block's largest.
/// </summary>
internal static class Nf4Rounding
{
    /// <returns>Of every element of y; null where the device computes otherwise.</returns>
    public static double[]? Of(Device device, float[] x, double[] w, int inputs)
    {
        int rows = x.Length / inputs, outputs = w.Length / inputs;
        if (device is not CpuDevice || !Nf4Dots.RoundsOperands || !Nf4Dots.Suits(rows, inputs)) return null;
        var rounding = new double[rows * outputs];
        for (int first = 0; first < inputs; first += Nf4.BlockSize)
            for (int row = 0; row < rows; row++)
                for (int output = 0; output < outputs; output++)
                    rounding[row * outputs + output] += OfBlock(x.AsSpan(row * inputs + first, Nf4.BlockSize), w.AsSpan(output * inputs + first, Nf4.BlockSize));
        return rounding;
    }

    // |(w + dw)·(x + dx) − w·x| ≤ Σ |w|·|dx| + |dw|·(|x| + |dx|). The largest of a block's values is its magnitude; fp32 scales x to within 2⁻²² of the integers.
    private static double OfBlock(ReadOnlySpan<float> x, ReadOnlySpan<double> w)
    {
        double largest = 0, magnitude = 0, sum = 0;
        foreach (float value in x) largest = Math.Max(largest, Math.Abs((double)value));
        foreach (double value in w) magnitude = Math.Max(magnitude, Math.Abs(value));
        double dX = largest * (0.5 / 32767 + Math.ScaleB(1, -22)), dW = magnitude * Nf4Integers.LargestError;
        // Below 2^-111 a block counts as zeros.
        if (largest < Math.ScaleB(1, -111)) dX = largest;
        for (int i = 0; i < x.Length; i++) sum += Math.Abs(w[i]) * dX + dW * (Math.Abs((double)x[i]) + dX);
        return sum;
    }
}
