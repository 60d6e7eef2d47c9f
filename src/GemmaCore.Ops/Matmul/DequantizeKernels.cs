using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>One entry that writes a whole matrix as plain elements, for each type that cards multiply in.</summary>
internal sealed class DequantizeKernels(string file, string entry)
{
    public const int Threads = 256;

    private readonly CudaKernel _float = new(file, entry, "-DOUTPUT=float"), _half = new(file, entry, "-DOUTPUT=half");
    private readonly CudaKernel _bfloat16 = new(file, entry, "-DOUTPUT=bfloat16");

    /// <summary>Room for the matrix in scratch memory, which the caller rewinds, and the kernel that fills it.</summary>
    public (TensorView Dense, CudaKernel Kernel) Take(CudaDevice cuda, Shape shape)
    {
        (DType type, CudaKernel kernel) = cuda.Precision switch
        {
            CudaPrecision.Float32 => (DType.F32, _float),
            CudaPrecision.Float16 => (DType.F16, _half),
            _ => (DType.BF16, _bfloat16),
        };
        return (cuda.Scratch.Take(shape, type), kernel);
    }
}
