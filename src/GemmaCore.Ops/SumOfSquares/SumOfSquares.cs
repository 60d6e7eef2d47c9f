using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>Σ x², for the global gradient norm.</summary>
public static partial class SumOfSquares
{
    /// <summary>The sum over all elements: f32 within blocks of 16 K elements, f64 over the blocks, in an order that the thread count does not change.</summary>
    /// <param name="x">f32.</param>
    public static double Of(TensorView x)
    {
        Require.Floats("SumOfSquares.Of", "x", x);
        return x.Device is CpuDevice ? SumCpu(x) : throw Require.NoSuchDevice("SumOfSquares.Of", x.Device);
    }
}
