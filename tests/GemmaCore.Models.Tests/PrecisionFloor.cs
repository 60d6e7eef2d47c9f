using System.Text.Json;
using GemmaCore.Cuda;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>How far the logits of a device may be from those of transformers in fp32.</summary>
/// <param name="Largest">Largest absolute difference.</param>
/// <param name="RootMeanSquare">Root of the mean squared difference.</param>
internal readonly record struct PrecisionFloor(double Largest, double RootMeanSquare)
{
    /// <summary>
    /// From <c>model/reduced_precision_floor.json</c>: transformers' own distance when all of it runs in bf16 or fp16. fp32 keeps the manifest's 1e-4 of the
    /// largest logit.
    /// </summary>
    public static PrecisionFloor Of(Device device, string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("model/reduced_precision_floor.json")));
        CudaPrecision precision = ((CudaDevice)device).Precision;
        JsonElement floor = document.RootElement.GetProperty($"{name} {(precision == CudaPrecision.BFloat16 ? "bfloat16" : "float16")}");
        if (precision != CudaPrecision.Float32) return new PrecisionFloor(floor.GetProperty("max_abs").GetDouble(), floor.GetProperty("rms").GetDouble());
        double allowed = 1e-4 * floor.GetProperty("largest_logit").GetDouble();
        return new PrecisionFloor(allowed, allowed);
    }
}

/// <summary>Absolute differences of two arrays.</summary>
internal static class Distance
{
    public static double Largest(float[] ours, float[] golden) => Differences(ours, golden).Max();

    public static double RootMeanSquare(float[] ours, float[] golden) => Math.Sqrt(Differences(ours, golden).Average(difference => difference * difference));

    // A NaN must fail: as infinity it is above every bar.
    private static IEnumerable<double> Differences(float[] ours, float[] golden)
    {
        if (ours.Length != golden.Length) throw new ArgumentException($"{ours.Length} values against {golden.Length}");
        return ours.Zip(golden, (a, b) => double.IsNaN(a - (double)b) ? double.PositiveInfinity : Math.Abs(a - (double)b));
    }
}
