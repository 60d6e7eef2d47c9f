using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Rotary position embedding in the "rotate half" pairing: element j of a head turns with element j + H/2 by position · inverseFrequency[j].
/// </summary>
/// <remarks>
/// Source: arXiv:2104.09864; the pairing and the rounding of the angle are those observed in transformers 4.57 (Gemma3RotaryEmbedding):
/// the angle is an fp32 product, and its cosine and sine are fp32.
/// </remarks>
public static partial class Rope
{
    /// <summary>θ^(−2j/H) / factor for j = 0 … H/2−1, every step rounded to fp32 as torch does.</summary>
    /// <param name="theta">Base of the geometric series, e.g. 1e6.</param>
    /// <param name="headDim">H, even.</param>
    /// <param name="scalingFactor">Linear position scaling; 1 for none.</param>
    public static float[] InverseFrequencies(double theta, int headDim, double scalingFactor)
    {
        Require.That(headDim > 0 && headDim % 2 == 0, "Rope.InverseFrequencies", $"headDim must be even and above 0, got {headDim}");
        Require.That(theta > 0 && scalingFactor > 0, "Rope.InverseFrequencies",
            $"theta and scalingFactor must be above 0, got {theta} and {scalingFactor}");
        var frequencies = new float[headDim / 2];
        for (int j = 0; j < frequencies.Length; j++)
        {
            float exponent = (float)(2 * j) / headDim;
            frequencies[j] = 1 / (float)Math.Pow((float)theta, exponent) / (float)scalingFactor;
        }

        return frequencies;
    }

    /// <summary>Cosine and sine of every position's angles.</summary>
    /// <param name="positions">[T] i32.</param>
    /// <param name="inverseFrequencies">[H/2] f32 in radians per position.</param>
    /// <param name="cos">[T, H/2] f32.</param>
    /// <param name="sin">[T, H/2] f32.</param>
    public static void FillTable(TensorView positions, TensorView inverseFrequencies, TensorView cos, TensorView sin)
    {
        Require.That(!positions.IsEmpty, "Rope.FillTable", $"positions must be i32[T], got {positions}");
        int tokens = checked((int)positions.Shape.ElementCount);
        Require.Ints("Rope.FillTable", "positions", positions, tokens);
        Require.Floats("Rope.FillTable", "inverseFrequencies", inverseFrequencies);
        var shape = new Shape(tokens, checked((int)inverseFrequencies.Shape.ElementCount));
        Require.Shape("Rope.FillTable", "cos", cos, shape);
        Require.Shape("Rope.FillTable", "sin", sin, shape);
        if (cos.Device is CpuDevice cpu) FillTableCpu(cpu, positions, inverseFrequencies, cos, sin);
        else if (cos.Device is CudaDevice cuda) FillTableCuda(cuda, positions, inverseFrequencies, cos, sin);
        else throw Require.NoSuchDevice("Rope.FillTable", cos.Device);
    }

    /// <summary>Rotates every head of every token, in place.</summary>
    /// <param name="x">[T, heads, H] f32, overwritten.</param>
    /// <param name="cos">[T, H/2] f32. Saved for backward: must not be overwritten.</param>
    /// <param name="sin">[T, H/2] f32. Saved for backward: must not be overwritten.</param>
    /// <param name="tape">Null in inference.</param>
    public static void Forward(TensorView x, TensorView cos, TensorView sin, Tape? tape)
    {
        Require.Floats("Rope.Forward", "x", x);
        Require.That(x.Shape.Rank == 3 && x.Shape[2] % 2 == 0, "Rope.Forward", $"x must be f32[T, heads, H] with an even H, got {x}");
        var shape = new Shape(x.Shape[0], x.Shape[2] / 2);
        Require.Shape("Rope.Forward", "cos", cos, shape);
        Require.Shape("Rope.Forward", "sin", sin, shape);
        if (x.Device is CpuDevice cpu) RotateCpu(cpu, x, cos, sin, direction: 1);
        else if (x.Device is CudaDevice cuda) RotateCuda(cuda, x, cos, sin, direction: 1);
        else throw Require.NoSuchDevice("Rope.Forward", x.Device);
        if (tape is not null && tape.Tracks(x)) Record(x, cos, sin, tape);
    }

    // Apart from Forward: a lambda there would allocate its closure in inference too.
    private static void Record(TensorView x, TensorView cos, TensorView sin, Tape tape) =>
        tape.Record("rope", x, () => Backward(x, cos, sin, tape));

    // y = R·x with R a rotation, so dX = Rᵀ·dY: the same rotation with the angle negated. x and y share their address and so their gradient.
    private static void Backward(TensorView x, TensorView cos, TensorView sin, Tape tape)
    {
        TensorView dX = tape.GradientOf(x);
        if (x.Device is CpuDevice cpu) RotateCpu(cpu, dX, cos, sin, direction: -1);
        else if (x.Device is CudaDevice cuda) RotateCuda(cuda, dX, cos, sin, direction: -1);
        else throw Require.NoSuchDevice("Rope.Backward", x.Device);
    }
}
