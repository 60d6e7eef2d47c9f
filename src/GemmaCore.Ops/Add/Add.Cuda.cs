using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class Add
{
    private static readonly CudaKernel SumKernel = new("add.cu", "add_forward");

    private static void SumCuda(CudaDevice cuda, TensorView a, TensorView b, TensorView sum)
    {
        long count = a.Shape.ElementCount;
        if (count > 0) cuda.Launch(SumKernel, ElementGrid.Over(count, cuda.MultiprocessorCount), a, b, sum, count);
    }
}
