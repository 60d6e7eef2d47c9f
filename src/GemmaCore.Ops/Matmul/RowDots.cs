using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// C[M,N] = (or +=) A[M,K]·B[N,K]ᵀ for a few rows of A, as in decoding: B is read once, straight from where it lies, and widened in registers.
/// An element's sum runs over K in one chain per lane, lanes are added at the end, then the tail: the same whatever M is.
/// </summary>
internal static unsafe class RowDots
{
    // With more rows than this, packing B pays.
    private const int MaxRows = 8;

    // Some 5 µs of one core's share of memory bandwidth.
    private const int BytesPerPart = 128 << 10;

    /// <summary>True when <paramref name="rows"/> rows of A are few enough.</summary>
    public static bool Suits(int rows) => rows <= MaxRows;

    public static void Run(WorkerPool workers, DType type, in GemmSizes sizes)
    {
        switch (type)
        {
            case DType.F32: Run<F32Elements>(workers, sizes); break;
            case DType.BF16: Run<BF16Elements>(workers, sizes); break;
            case DType.F16: Run<F16Elements>(workers, sizes); break;
            default: throw new ShapeException($"Gemm: the right matrix must be f32, bf16 or f16, got {type}");
        }
    }

    private static void Run<TElements>(WorkerPool workers, in GemmSizes sizes) where TElements : struct, IElements
    {
        if (Vector512.IsHardwareAccelerated) Run<Vector512<float>, Unit512, TElements>(workers, sizes);
        else if (Fma.IsSupported && Avx2.IsSupported) Run<Vector256<float>, Unit256, TElements>(workers, sizes);
        else Run<float, UnitScalar, TElements>(workers, sizes);
    }

    private static void Run<TVector, TUnit, TElements>(WorkerPool workers, in GemmSizes sizes)
        where TVector : unmanaged where TUnit : struct, IVectorUnit<TVector> where TElements : struct, IElements
    {
        long rowBytes = Math.Max(1, (long)sizes.Depth * TElements.Size);
        var work = new Work<TVector, TUnit, TElements> { Sizes = sizes, Step = (int)Math.Clamp(BytesPerPart / rowBytes / 4 * 4, 4, 1 << 12) };
        workers.Run(ref work, (sizes.Columns + work.Step - 1) / work.Step);
    }

    private struct Work<TVector, TUnit, TElements> : IWork
        where TVector : unmanaged where TUnit : struct, IVectorUnit<TVector> where TElements : struct, IElements
    {
        public GemmSizes Sizes;
        public int Step;

        public readonly void Execute(int index)
        {
            int n = index * Step, end = Math.Min(Sizes.Columns, n + Step);
            for (; n <= end - 4; n += 4)
            {
                int m = 0;
                for (; m <= Sizes.Rows - 2; m += 2) Dot2x4(m, n);
                if (m < Sizes.Rows) Dot1x4(m, n);
            }

            for (; n < end; n++)
                for (int m = 0; m < Sizes.Rows; m++) Dot1x1(m, n);
        }

        private readonly byte* RightRow(int n) => (byte*)Sizes.Right + (long)n * Sizes.RightStride * TElements.Size;

        private readonly byte* LeftRow(int m) => (byte*)(Sizes.Left + (long)m * Sizes.LeftStride);

        private readonly void Dot1x1(int m, int n)
        {
            TVector s = default;
            byte* a = LeftRow(m), b = RightRow(n);
            int k = 0;
            for (; k <= Sizes.Depth - TUnit.Lanes; k += TUnit.Lanes)
                s = TUnit.MultiplyAdd(TUnit.Load<F32Elements>(a + k * sizeof(float)), TUnit.Load<TElements>(b + k * TElements.Size), s);
            Put(m, n, k, s);
        }

        private readonly void Dot1x4(int m, int n)
        {
            TVector s0 = default, s1 = default, s2 = default, s3 = default;
            byte* a = LeftRow(m), b0 = RightRow(n), b1 = RightRow(n + 1), b2 = RightRow(n + 2), b3 = RightRow(n + 3);
            int k = 0;
            for (; k <= Sizes.Depth - TUnit.Lanes; k += TUnit.Lanes)
            {
                TVector x = TUnit.Load<F32Elements>(a + k * sizeof(float));
                int at = k * TElements.Size;
                s0 = TUnit.MultiplyAdd(x, TUnit.Load<TElements>(b0 + at), s0);
                s1 = TUnit.MultiplyAdd(x, TUnit.Load<TElements>(b1 + at), s1);
                s2 = TUnit.MultiplyAdd(x, TUnit.Load<TElements>(b2 + at), s2);
                s3 = TUnit.MultiplyAdd(x, TUnit.Load<TElements>(b3 + at), s3);
            }

            Put(m, n, k, s0);
            Put(m, n + 1, k, s1);
            Put(m, n + 2, k, s2);
            Put(m, n + 3, k, s3);
        }

        private readonly void Dot2x4(int m, int n)
        {
            TVector s0 = default, s1 = default, s2 = default, s3 = default, t0 = default, t1 = default, t2 = default, t3 = default;
            byte* a = LeftRow(m), c = LeftRow(m + 1), b0 = RightRow(n), b1 = RightRow(n + 1), b2 = RightRow(n + 2), b3 = RightRow(n + 3);
            int k = 0;
            for (; k <= Sizes.Depth - TUnit.Lanes; k += TUnit.Lanes)
            {
                TVector x = TUnit.Load<F32Elements>(a + k * sizeof(float)), y = TUnit.Load<F32Elements>(c + k * sizeof(float));
                int at = k * TElements.Size;
                TVector w0 = TUnit.Load<TElements>(b0 + at), w1 = TUnit.Load<TElements>(b1 + at);
                s0 = TUnit.MultiplyAdd(x, w0, s0);
                t0 = TUnit.MultiplyAdd(y, w0, t0);
                s1 = TUnit.MultiplyAdd(x, w1, s1);
                t1 = TUnit.MultiplyAdd(y, w1, t1);
                TVector w2 = TUnit.Load<TElements>(b2 + at), w3 = TUnit.Load<TElements>(b3 + at);
                s2 = TUnit.MultiplyAdd(x, w2, s2);
                t2 = TUnit.MultiplyAdd(y, w2, t2);
                s3 = TUnit.MultiplyAdd(x, w3, s3);
                t3 = TUnit.MultiplyAdd(y, w3, t3);
            }

            Put(m, n, k, s0);
            Put(m, n + 1, k, s1);
            Put(m, n + 2, k, s2);
            Put(m, n + 3, k, s3);
            Put(m + 1, n, k, t0);
            Put(m + 1, n + 1, k, t1);
            Put(m + 1, n + 2, k, t2);
            Put(m + 1, n + 3, k, t3);
        }

        // Adds the lanes, the steps from k on that fill no vector, and the bias.
        private readonly void Put(int m, int n, int k, TVector lanes)
        {
            float sum = TUnit.Total(lanes);
            float* a = (float*)LeftRow(m);
            byte* b = RightRow(n);
            for (; k < Sizes.Depth; k++) sum += a[k] * TElements.Load(b + k * TElements.Size);
            if (Sizes.Bias != null) sum += Sizes.Bias[n];
            float* c = Sizes.C + (long)m * Sizes.Columns + n;
            *c = Sizes.Accumulate ? *c + sum : sum;
        }
    }
}
