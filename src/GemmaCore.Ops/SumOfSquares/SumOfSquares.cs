using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>Σ x², for the global gradient norm.</summary>
public static partial class SumOfSquares
{
    /// <summary>
    /// The sum over all elements of all tensors: f32 within blocks of 16 K elements, f64 over the blocks, in an order that the thread count
    /// does not change. One transfer from the device, however many tensors there are.
    /// </summary>
    /// <param name="tensors">f32, all on one device.</param>
    public static double Of(params ReadOnlySpan<TensorView> tensors)
    {
        const string operation = "SumOfSquares.Of";
        foreach (TensorView x in tensors)
        {
            Require.Floats(operation, "x", x);
            Require.That(x.Device == tensors[0].Device, operation, $"all tensors must be on one device, got {tensors[0]} and {x}");
        }

        if (tensors.IsEmpty) return 0;
        return tensors[0].Device switch
        {
            CpuDevice cpu => SumCpu(cpu, tensors),
            CudaDevice cuda => SumCuda(cuda, tensors),
            Device other => throw Require.NoSuchDevice(operation, other),
        };
    }
}
