using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class AdamwUpdate
{
    private const int Threads = 256, ElementsPerThread = 4, QuantizedBlocksPerWarp = 4;

    private static readonly CudaKernel ApplyKernel = new("adamw_update.cu", "adamw_update_apply");
    private static readonly CudaKernel QuantizedKernel = new("adamw_update_8bit.cu", "adamw_update_8bit_apply");

    private static void ApplyCuda(CudaDevice cuda, TensorView parameter, TensorView gradient, TensorView m, TensorView v, Rates rates)
    {
        long elements = parameter.Shape.ElementCount;
        if (elements == 0) return;
        const int perBlock = Threads * ElementsPerThread;
        int blocks = checked((int)((elements + perBlock - 1) / perBlock));
        cuda.Launch(
            ApplyKernel, new LaunchGrid(blocks, Threads), parameter, gradient, m, v, elements, rates.Keep, rates.StepSize, rates.RootScale, rates.Beta1,
            rates.Beta2, rates.Eps, rates.GradientScale);
    }

    // A warp to a block of the moments at a time; several of them pay for reading the maps.
    private static void ApplyCuda(CudaDevice cuda, TensorView parameter, TensorView gradient, QuantizedMoment m, QuantizedMoment v, Rates rates)
    {
        long elements = parameter.Shape.ElementCount;
        if (elements == 0) return;
        const int perBlock = Threads / 32 * QuantizedBlocksPerWarp;
        int blocks = (QuantizedMoment.BlockCount(elements) + perBlock - 1) / perBlock;
        cuda.Launch(
            QuantizedKernel, new LaunchGrid(blocks, Threads), parameter, gradient, m.Codes, m.Absmax, m.Map, v.Codes, v.Absmax, v.Map, elements, rates.Keep,
            rates.StepSize, rates.RootScale, rates.Beta1, rates.Beta2, rates.Eps, rates.GradientScale);
    }
}
