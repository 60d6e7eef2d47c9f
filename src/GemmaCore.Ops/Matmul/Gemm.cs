using System.Runtime.Intrinsics.X86;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Matrix products on raw row-major memory, for the operations of this assembly. Letters in the BLAS sense; the widest vector unit the
/// processor offers is chosen at run time. Every sum is cut and ordered by the shape alone.
/// </summary>
internal static unsafe class Gemm
{
    /// <summary>C[M,N] = (or +=) A[M,K]·B[N,K]ᵀ (+ bias[N]).</summary>
    public static void NT(
        WorkerPool workers, float* a, void* b, DType bType, float* c, int m, int n, int k, bool accumulate, float* bias = null)
    {
        var sizes = new GemmSizes
        {
            Left = a, LeftStride = k, Right = b, RightStride = k, RightByColumn = true,
            C = c, Rows = m, Columns = n, Depth = k, Accumulate = accumulate, Bias = bias,
        };
        if (RowDots.Suits(m)) RowDots.Run(workers, bType, sizes);
        else Run(workers, bType, sizes);
    }

    /// <summary>C[M,K] = (or +=) A[M,N]·B[N,K].</summary>
    public static void NN(WorkerPool workers, float* a, void* b, DType bType, float* c, int m, int n, int k, bool accumulate) =>
        Run(workers, bType, new GemmSizes
        {
            Left = a, LeftStride = n, Right = b, RightStride = k,
            C = c, Rows = m, Columns = k, Depth = n, Accumulate = accumulate,
        });

    /// <summary>C[R,K] += A[M,R]ᵀ·B[M,K].</summary>
    public static void TN(WorkerPool workers, float* a, float* b, float* c, int m, int r, int k) =>
        Run(workers, DType.F32, new GemmSizes
        {
            Left = a, LeftStride = r, LeftTransposed = true, Right = b, RightStride = k,
            C = c, Rows = r, Columns = k, Depth = m, Accumulate = true,
        });

    /// <summary>C[M,O] = A[M,K]·W[O,K]ᵀ (+ bias[O]) with a matrix whose rows must be computed.</summary>
    public static void NT<TRows>(WorkerPool workers, float* a, TRows w, float* c, int m, int outputs, float* bias) where TRows : struct, IWeightRows
    {
        int k = w.Columns;
        if (RowDots.Suits(m)) WeightRowDots.Run(workers, w, a, m, bias, c, outputs);
        else
            Run(
                workers, new GemmSizes { Left = a, LeftStride = k, C = c, Rows = m, Columns = outputs, Depth = k, Bias = bias },
                new DequantizedRight<TRows>(w, byColumn: true));
    }

    /// <summary>C[M,K] = (or +=) A[M,O]·W[O,K] with a matrix whose rows must be computed.</summary>
    public static void NN<TRows>(WorkerPool workers, float* a, TRows w, float* c, int m, int outputs, bool accumulate) where TRows : struct, IWeightRows =>
        Run(
            workers, new GemmSizes { Left = a, LeftStride = outputs, C = c, Rows = m, Columns = w.Columns, Depth = outputs, Accumulate = accumulate },
            new DequantizedRight<TRows>(w, byColumn: false));

    /// <summary>The product with a right matrix of any storage; the operands' own right matrix is not looked at.</summary>
    public static void Run<TRight>(WorkerPool workers, in GemmSizes sizes, TRight right) where TRight : struct, IRightMatrix
    {
        if (sizes.Rows == 0 || sizes.Columns == 0) return;
        if (Avx512F.IsSupported) PackedGemm<Tile512, TRight>.Run(workers, sizes, right);
        else if (Fma.IsSupported && Avx2.IsSupported) PackedGemm<Tile256, TRight>.Run(workers, sizes, right);
        else PackedGemm<TileScalar, TRight>.Run(workers, sizes, right);
    }

    private static void Run(WorkerPool workers, DType type, in GemmSizes sizes)
    {
        switch (type)
        {
            case DType.F32: Run(workers, sizes, new DenseRight<F32Elements>(sizes)); break;
            case DType.BF16: Run(workers, sizes, new DenseRight<BF16Elements>(sizes)); break;
            case DType.F16: Run(workers, sizes, new DenseRight<F16Elements>(sizes)); break;
            default: throw new ShapeException($"Gemm: the right matrix must be f32, bf16 or f16, got {type}");
        }
    }
}

/// <summary>Operands of one product C[Rows, Columns] = Left[Rows, Depth]·Right[Depth, Columns], however they are stored.</summary>
internal unsafe struct GemmSizes
{
    /// <summary>Row-major [Rows, Depth], or [Depth, Rows] when <see cref="LeftTransposed"/>; rows <see cref="LeftStride"/> floats apart.</summary>
    public float* Left;

    /// <summary>Row-major [Depth, Columns], or [Columns, Depth] when <see cref="RightByColumn"/>; rows <see cref="RightStride"/> elements apart.</summary>
    public void* Right;

    /// <summary>Row-major [Rows, Columns].</summary>
    public float* C;

    /// <summary>[Columns] added to every row, or null.</summary>
    public float* Bias;

    public int Rows, Columns, Depth, LeftStride, RightStride;
    public bool LeftTransposed, RightByColumn, Accumulate;
}
