using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// C[M,N] = A[M,K]·B[N,K]ᵀ for a few rows of A, as in decoding: B is read once, straight from where it lies, and widened in registers.
/// </summary>
internal static unsafe class RowDots
{
    // With more rows than this, packing B pays.
    private const int MaxRows = 8;

    private const int BytesPerPart = 128 << 10;

    /// <summary>True when <paramref name="rows"/> rows of A are few enough.</summary>
    public static bool Suits(int rows) => rows <= MaxRows;

    public static void Run(WorkerPool workers, float* a, void* b, DType bType, float* c, int m, int n, int k, bool accumulate, float* bias)
    {
        var work = new Operands { A = a, B = (byte*)b, C = c, Bias = bias, M = m, N = n, K = k, Accumulate = accumulate };
        switch (bType)
        {
            case DType.F32: Run<F32Elements>(workers, work); break;
            case DType.BF16: Run<BF16Elements>(workers, work); break;
            case DType.F16: Run<F16Elements>(workers, work); break;
            default: throw new ShapeException($"Gemm: the right matrix must be f32, bf16 or f16, got {bType}");
        }
    }

    private static void Run<TElements>(WorkerPool workers, in Operands operands) where TElements : struct, IElements
    {
        var work = new Work<TElements> { O = operands, Step = Math.Clamp(BytesPerPart / Math.Max(1, operands.K * TElements.Size) / 4 * 4, 4, 1 << 16) };
        workers.Run(ref work, (operands.N + work.Step - 1) / work.Step);
    }

    private struct Operands
    {
        public float* A, C, Bias;
        public byte* B;
        public int M, N, K;
        public bool Accumulate;
    }

    private struct Work<TElements> : IWork where TElements : struct, IElements
    {
        public Operands O;
        public int Step;

        public readonly void Execute(int index)
        {
            int end = Math.Min(O.N, (index + 1) * Step);
            for (int n = index * Step; n < end; n++)
                for (int m = 0; m < O.M; m++)
                {
                    float* a = O.A + (long)m * O.K;
                    byte* b = O.B + (long)n * O.K * TElements.Size;
                    float sum = 0;
                    for (int k = 0; k < O.K; k++) sum += a[k] * TElements.Load(b + k * TElements.Size);
                    float* c = O.C + (long)m * O.N + n;
                    if (O.Bias != null) sum += O.Bias[n];
                    *c = O.Accumulate ? *c + sum : sum;
                }
        }
    }
}
