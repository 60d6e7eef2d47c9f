using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class Embedding
{
    private const int Threads = 128;

    private static readonly CudaKernel F32Kernel = new("embedding.cu", "embedding_forward", "-DTABLE=float");
    private static readonly CudaKernel F16Kernel = new("embedding.cu", "embedding_forward", "-DTABLE=half");
    private static readonly CudaKernel BF16Kernel = new("embedding.cu", "embedding_forward", "-DTABLE=bfloat16");

    private static readonly CudaKernel Int8Kernel = new("embedding_int8.cu", "embedding_int8_forward");

    private static void ForwardCuda(CudaDevice cuda, TensorView ids, TensorView table, float scale, TensorView y)
    {
        if (y.Shape[0] == 0) return;
        CudaKernel kernel = table.DType switch { DType.F32 => F32Kernel, DType.BF16 => BF16Kernel, _ => F16Kernel };
        cuda.Launch(kernel, new LaunchGrid(y.Shape[0], Threads), ids, table, y, table.Shape[0], table.Shape[1], scale);
    }

    private static void ForwardCuda(CudaDevice cuda, TensorView ids, Int8Matrix table, float scale, TensorView y)
    {
        if (y.Shape[0] == 0) return;
        cuda.Launch(Int8Kernel, new LaunchGrid(y.Shape[0], Threads), ids, table.Codes, table.Absmax, y, table.Shape[0], table.Shape[1], table.InTiles, scale);
    }
}
