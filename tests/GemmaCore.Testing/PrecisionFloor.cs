using System.Text.Json;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Testing;

/// <summary>How far the logits of a device may be from those of transformers in fp32.</summary>
/// <param name="Largest">Largest absolute difference.</param>
/// <param name="RootMeanSquare">Root of the mean squared difference.</param>
public readonly record struct PrecisionFloor(double Largest, double RootMeanSquare)
{
    private static readonly string[] OneImageCases = ["one_image_phantom_brain", "one_image_phantom_colon"];

    /// <summary>
    /// From <c>model/reduced_precision_floor.json</c>: transformers' own distance when all of it runs in bf16 or fp16. fp32 keeps the manifest's 1e-4 of the
    /// largest logit.
    /// </summary>
    /// <param name="device">A card.</param>
    /// <param name="name">A case of that file.</param>
    public static PrecisionFloor Of(Device device, string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("model/reduced_precision_floor.json")));
        CudaPrecision precision = ((CudaDevice)device).Precision;
        JsonElement floor = document.RootElement.GetProperty($"{name} {(precision == CudaPrecision.BFloat16 ? "bfloat16" : "float16")}");
        if (precision != CudaPrecision.Float32) return new PrecisionFloor(floor.GetProperty("max_abs").GetDouble(), floor.GetProperty("rms").GetDouble());
        double allowed = 1e-4 * floor.GetProperty("largest_logit").GetDouble();
        return new PrecisionFloor(allowed, allowed);
    }

    /// <summary>For a question about one image that has no case of its own: the larger of the two cases of that kind.</summary>
    /// <param name="device">A card.</param>
    public static PrecisionFloor OfOneImage(Device device)
    {
        PrecisionFloor[] floors = [.. OneImageCases.Select(name => Of(device, name))];
        return new PrecisionFloor(floors.Max(floor => floor.Largest), floors.Max(floor => floor.RootMeanSquare));
    }
}

/// <summary>Absolute differences of two arrays.</summary>
public static class Distance
{
    /// <summary>The largest one; infinite where a value is NaN, which must be above every bar.</summary>
    public static double Largest(float[] ours, float[] golden) => Differences(ours, golden).Max();

    /// <summary>Root of the mean square; infinite where a value is NaN.</summary>
    public static double RootMeanSquare(float[] ours, float[] golden) => Math.Sqrt(Differences(ours, golden).Average(difference => difference * difference));

    private static IEnumerable<double> Differences(float[] ours, float[] golden)
    {
        ArgumentNullException.ThrowIfNull(ours);
        ArgumentNullException.ThrowIfNull(golden);
        if (ours.Length != golden.Length) throw new ArgumentException($"{ours.Length} values against {golden.Length}");
        return ours.Zip(golden, (a, b) => double.IsNaN(a - (double)b) ? double.PositiveInfinity : Math.Abs(a - (double)b));
    }
}
