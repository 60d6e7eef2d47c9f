using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class Matmul
{
    /// <summary>C[M,N] = alpha·(A[M,K]·B[N,K]ᵀ + A2[M,R]·B2[N,R]ᵀ) + bias[N] (+ C).</summary>
    internal static void NT(
        CudaDevice cuda, TensorView a, TensorView b, TensorView c, TensorView bias = default, bool accumulate = false, float alpha = 1,
        TensorView a2 = default, TensorView b2 = default, PackedMatrix packed = default) =>
        Run(cuda, MatmulLayout.NT, new MatmulOperands
        {
            A = a, B = b, A2 = a2, B2 = b2, Packed = packed, Bias = bias, C = c, Alpha = alpha, Accumulate = accumulate,
            M = a.Shape.Rows, N = b.Shape.Rows, K = a.Shape.Columns, R = a2.IsEmpty ? 0 : a2.Shape.Columns,
        });

    /// <summary>C[M,N] = alpha·(A[M,K]·B[K,N] + A2[M,R]·B2[R,N]) (+ C).</summary>
    internal static void NN(
        CudaDevice cuda, TensorView a, TensorView b, TensorView c, bool accumulate = false, float alpha = 1, TensorView a2 = default,
        TensorView b2 = default, PackedMatrix packed = default) =>
        Run(cuda, MatmulLayout.NN, new MatmulOperands
        {
            A = a, B = b, A2 = a2, B2 = b2, Packed = packed, C = c, Alpha = alpha, Accumulate = accumulate,
            M = a.Shape.Rows, N = b.Shape.Columns, K = a.Shape.Columns, R = a2.IsEmpty ? 0 : a2.Shape.Columns,
        });

    /// <summary>C[M,N] = alpha·A[K,M]ᵀ·B[K,N] (+ C), both operands f32.</summary>
    internal static void TN(CudaDevice cuda, TensorView a, TensorView b, TensorView c, bool accumulate = false, float alpha = 1) =>
        Run(cuda, MatmulLayout.TN, new MatmulOperands
        {
            A = a, B = b, C = c, Alpha = alpha, Accumulate = accumulate, M = a.Shape.Columns, N = b.Shape.Columns, K = a.Shape.Rows,
        });

    /// <summary>
    /// The A of several products, packed once for them in scratch memory that the caller rewinds; default where they read f32 anyway.
    /// </summary>
    internal static PackedMatrix Pack(CudaDevice cuda, MatmulLayout layout, TensorView a)
    {
        int rows = a.Shape.Rows;
        bool asItIs = cuda.Precision == CudaPrecision.Float32 || rows == 0 || (layout == MatmulLayout.NT && rows <= MatmulPlan.MostTokens);
        return asItIs ? default : PackedMatrix.Of(cuda, a, ComputeType(cuda), PackScale.Row);
    }

    private static DType ComputeType(CudaDevice cuda) => cuda.Precision == CudaPrecision.BFloat16 ? DType.BF16 : DType.F16;

    private static void Run(CudaDevice cuda, MatmulLayout layout, in MatmulOperands x)
    {
        if (x.M == 0 || x.N == 0) return;
        Run(cuda, layout, x, MatmulPlan.For(layout, x.M, x.N, x.K, x.R, cuda.Precision, cuda.Architecture, cuda.MultiprocessorCount, cuda.HasWarpgroups));
    }

    /// <summary>The product as a plan has it.</summary>
    internal static void Run(CudaDevice cuda, MatmulLayout layout, in MatmulOperands x, in MatmulPlan plan)
    {
        if (plan.Path == MatmulPath.Rows)
        {
            cuda.Launch(
                MatmulKernels.For(plan, layout, default, x.B.DType), new LaunchGrid(plan.Blocks, plan.Threads),
                x.A, x.B, x.A2, x.B2, x.Bias, x.C, x.M, x.N, x.K, x.R, plan.Splits, x.Alpha, x.Accumulate);
            return;
        }

        Arena.Mark start = cuda.Scratch.Position;
        if (plan.Path == MatmulPath.Plain) LaunchPlain(cuda, layout, plan, x);
        else LaunchTensor(cuda, layout, plan, x);
        cuda.Scratch.Rewind(start);
    }

    // Parts of split sums go to scratch memory; bias and what was in C are added when they are reduced.
    private static void LaunchPlain(CudaDevice cuda, MatmulLayout layout, in MatmulPlan plan, in MatmulOperands x)
    {
        bool split = plan.Splits > 1;
        TensorView c = split ? cuda.Scratch.Take(new Shape(plan.Splits, x.M, x.N)) : x.C;
        cuda.Launch(
            MatmulKernels.For(plan, layout, default, x.B.DType), new LaunchGrid(plan.Blocks, plan.Threads),
            x.A, x.B, x.A2, x.B2, split ? default : x.Bias, c, x.M, x.N, x.K, x.R, plan.Splits, x.Alpha, x.Accumulate && !split);
        if (!split) return;
        long count = (long)x.M * x.N;
        cuda.Launch(MatmulKernels.Reduce, LaunchGrid.Over((count + 3) / 4, 256), c, x.Bias, x.C, x.N, plan.Splits, count, x.Accumulate);
    }

    private static void LaunchTensor(CudaDevice cuda, MatmulLayout layout, in MatmulPlan plan, in MatmulOperands x)
    {
        DType compute = ComputeType(cuda);
        PackScale scale = layout == MatmulLayout.TN ? PackScale.Matrix : PackScale.Row;
        PackedMatrix a = x.Packed.Values.IsEmpty ? PackedMatrix.Of(cuda, x.A, compute, scale) : x.Packed, b = new(x.B, default), a2 = default, b2 = default;
        if (layout == MatmulLayout.TN || !IsReadAsItIs(x.B, compute))
            b = PackedMatrix.Of(cuda, x.B, compute, x.B.DType == DType.F32 ? PackScale.Matrix : PackScale.None);
        if (x.R > 0)
        {
            a2 = PackedMatrix.Of(cuda, x.A2, compute, PackScale.Row, a.Exponents);
            b2 = PackedMatrix.Of(cuda, x.B2, compute, PackScale.Matrix, lowest: -40);
        }

        long cut = plan.Tiles - plan.Whole;
        TensorView partials = cut == 0 ? default : cuda.Scratch.Take(new Shape((int)cut * plan.Splits, plan.TileRows, plan.TileColumns));
        CudaKernel kernel = MatmulKernels.For(plan, layout, compute, b.Values.DType);
        var grid = new LaunchGrid(plan.Blocks, plan.Threads, sharedBytes: plan.SharedBytes);
        if (plan.Path == MatmulPath.Warpgroup)
            cuda.Launch(
                kernel, grid, a.Values, b.Values, a2.Values, b2.Values, x.Bias, x.C, partials, x.M, x.N, x.K, x.R, (int)plan.Whole, plan.Splits, x.Alpha,
                x.Accumulate);
        else
            cuda.Launch(
                kernel, grid, a.Values, b.Values, a2.Values, b2.Values, a.Exponents, a2.Exponents, b.Exponents, b2.Exponents, x.Bias, x.C, partials, x.M, x.N, x.K, x.R,
                (int)plan.Whole, plan.Splits, x.Alpha, x.Accumulate);
        if (cut == 0) return;
        cuda.Launch(
            MatmulKernels.ReduceFor(plan, layout, compute, b.Values.DType), new LaunchGrid(cut * plan.ReduceBlocks, plan.Threads),
            partials, x.Bias, x.C, x.M, x.N, (int)plan.Whole, plan.Splits, x.Accumulate);
    }

    // Rows of whole 16-byte chunks in the type of the product; fp16 products also round bf16 as they go, the case of Gemma on a T4.
    private static bool IsReadAsItIs(TensorView b, DType compute) =>
        b.Shape.Columns % 8 == 0 && b.Pointer % 16 == 0 && (b.DType == compute || (b.DType == DType.BF16 && compute == DType.F16));

    /// <summary>One product, sizes in the BLAS sense; R is the depth of the second pair.</summary>
    internal struct MatmulOperands
    {
        public TensorView A, B, A2, B2, Bias, C;
        public PackedMatrix Packed;
        public float Alpha;
        public bool Accumulate;
        public int M, N, K, R;
    }
}
