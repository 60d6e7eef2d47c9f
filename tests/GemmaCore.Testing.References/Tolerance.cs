using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Testing;

/// <summary>The one table of tolerances, and the one measure: largest |ours − reference| over the reference's largest magnitude.</summary>
public static class Tolerance
{
    /// <summary>Tolerance of an fp32 result whose longest sum has <paramref name="reduction"/> terms: 8 ulp, growing with the square root.</summary>
    public static double Float32(int reduction) => 8 * Math.ScaleB(1, -24) * Math.Sqrt(Math.Max(1, reduction));

    /// <summary>
    /// Tolerance of Σ a·b whose factors a matrix product has rounded to <see cref="MatrixUnit"/>, as a multiple of √Σ(a·b)². Every product is off
    /// by at most 2·unit of itself, each independently and without bias, so by Hoeffding's inequality the sum stays within six times 2·unit·√Σ(a·b)²
    /// but for one case in 3e7; the fp32 sum comes on top.
    /// </summary>
    public static double RoundedProducts(double unit, int reduction) => 12 * unit + Float32(reduction);

    /// <summary>Largest relative error of rounding what a device's matrix products read: half the spacing above 1 of bf16 or fp16; 0 for fp32.</summary>
    public static double MatrixUnit(Device device) => (device as CudaDevice)?.Precision switch
    {
        CudaPrecision.BFloat16 => Math.ScaleB(1, -8),
        CudaPrecision.Float16 => Math.ScaleB(1, -11),
        _ => 0,
    };

    /// <summary>Largest error of an element relative to that element's own scale; NaN counts as infinite.</summary>
    public static double ScaledError(ReadOnlySpan<float> ours, ReadOnlySpan<double> reference, ReadOnlySpan<double> scales)
    {
        if (ours.Length != reference.Length || ours.Length != scales.Length) throw new ArgumentException($"{ours.Length} values against {reference.Length}");
        double error = 0;
        for (int i = 0; i < ours.Length; i++)
        {
            double difference = Math.Abs(ours[i] - reference[i]) / Math.Max(scales[i], 1e-30);
            if (!(difference <= error)) error = double.IsNaN(difference) ? double.PositiveInfinity : difference;
        }

        return error;
    }

    /// <summary>
    /// Tolerance of a product computed in 16 bits whose operands were rounded <paramref name="operands"/> times on the way to the result: each rounding
    /// changes it by one unit roundoff of the largest magnitude at most. The sums are fp32 and have their own part, <see cref="Float32"/>.
    /// </summary>
    public static double Rounded(DType type, int operands) => operands * Math.ScaleB(1, type == DType.F16 ? -11 : -8);

    /// <summary>Largest error relative to the reference's largest magnitude (1e-30 stands in for an all-zero reference).</summary>
    public static double RelativeError(ReadOnlySpan<float> ours, ReadOnlySpan<double> reference)
    {
        if (ours.Length != reference.Length) throw new ArgumentException($"{ours.Length} values against {reference.Length}");
        double scale = 1e-30, error = 0;
        foreach (double value in reference) scale = Math.Max(scale, Math.Abs(value));
        for (int i = 0; i < ours.Length; i++)
        {
            double difference = Math.Abs(ours[i] - reference[i]);
            // A NaN must fail, and every comparison with it is false.
            if (!(difference <= error)) error = double.IsNaN(difference) ? double.PositiveInfinity : difference;
        }

        return error / scale;
    }

    /// <summary>The same against fp32 golden values.</summary>
    public static double RelativeError(ReadOnlySpan<float> ours, ReadOnlySpan<float> reference) =>
        RelativeError(ours, Sample.Widen(reference.ToArray()));
}
