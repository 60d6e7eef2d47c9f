using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// C[M,N] = (or +=) A[M,K]·B[N,K]ᵀ for a few rows of A, as in decoding: B is read once, straight from where it lies, and widened in registers.
/// One or two rows of A take B row by row, so that a part is one stream, which the processor's prefetching needs to reach memory speed; a
/// long K would drive A out of the first-level cache that way, and more rows of A would repeat the widening: they take four rows of B at once.
/// </summary>
internal static unsafe class RowDots
{
    // With more rows than this, packing B pays.
    private const int MaxRows = 8;

    // A row of A of 16 KiB: half of a first-level cache.
    private const int DepthInCache = 4096;

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

    public static void Run<TElements>(WorkerPool workers, in GemmSizes sizes) where TElements : struct, IElements
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
            bool singly = Sizes.Rows <= 2 && Sizes.Depth <= DepthInCache;
            if (!singly)
                for (; n <= end - 4; n += 4)
                {
                    int m = 0;
                    for (; m <= Sizes.Rows - 2; m += 2) Dot2x4(m, n);
                    if (m < Sizes.Rows) Dot1x4(m, n);
                }

            for (; n < end; n++)
            {
                int m = 0;
                for (; m <= Sizes.Rows - 2; m += 2) Dot2x1(m, n);
                if (m < Sizes.Rows) Dot1x1(m, n);
            }
        }

        private readonly byte* RightRow(int n) => (byte*)Sizes.Right + (long)n * Sizes.RightStride * TElements.Size;

        private readonly float* LeftRow(int m) => Sizes.Left + (long)m * Sizes.LeftStride;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static TVector X(float* source) => TUnit.Load<F32Elements>((byte*)source);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static TVector W(byte* source) => TUnit.Load<TElements>(source);

        private readonly void Dot1x1(int m, int n)
        {
            TVector s0 = default, s1 = default, s2 = default, s3 = default;
            float* a = LeftRow(m);
            byte* b = RightRow(n);
            int step = TUnit.Lanes, k = 0;
            for (; k <= Sizes.Depth - 4 * step; k += 4 * step, b += 4 * step * TElements.Size)
            {
                s0 = TUnit.MultiplyAdd(X(a + k), W(b), s0);
                s1 = TUnit.MultiplyAdd(X(a + k + step), W(b + step * TElements.Size), s1);
                s2 = TUnit.MultiplyAdd(X(a + k + 2 * step), W(b + 2 * step * TElements.Size), s2);
                s3 = TUnit.MultiplyAdd(X(a + k + 3 * step), W(b + 3 * step * TElements.Size), s3);
            }

            for (; k <= Sizes.Depth - step; k += step, b += step * TElements.Size) s0 = TUnit.MultiplyAdd(X(a + k), W(b), s0);
            Put(m, n, k, TUnit.Add(TUnit.Add(s0, s1), TUnit.Add(s2, s3)));
        }

        private readonly void Dot2x1(int m, int n)
        {
            TVector s0 = default, s1 = default, s2 = default, s3 = default, t0 = default, t1 = default, t2 = default, t3 = default;
            float* a = LeftRow(m), c = LeftRow(m + 1);
            byte* b = RightRow(n);
            int step = TUnit.Lanes, k = 0;
            for (; k <= Sizes.Depth - 4 * step; k += 4 * step, b += 4 * step * TElements.Size)
            {
                TVector w0 = W(b), w1 = W(b + step * TElements.Size), w2 = W(b + 2 * step * TElements.Size), w3 = W(b + 3 * step * TElements.Size);
                s0 = TUnit.MultiplyAdd(X(a + k), w0, s0);
                t0 = TUnit.MultiplyAdd(X(c + k), w0, t0);
                s1 = TUnit.MultiplyAdd(X(a + k + step), w1, s1);
                t1 = TUnit.MultiplyAdd(X(c + k + step), w1, t1);
                s2 = TUnit.MultiplyAdd(X(a + k + 2 * step), w2, s2);
                t2 = TUnit.MultiplyAdd(X(c + k + 2 * step), w2, t2);
                s3 = TUnit.MultiplyAdd(X(a + k + 3 * step), w3, s3);
                t3 = TUnit.MultiplyAdd(X(c + k + 3 * step), w3, t3);
            }

            for (; k <= Sizes.Depth - step; k += step, b += step * TElements.Size)
            {
                s0 = TUnit.MultiplyAdd(X(a + k), W(b), s0);
                t0 = TUnit.MultiplyAdd(X(c + k), W(b), t0);
            }

            Put(m, n, k, TUnit.Add(TUnit.Add(s0, s1), TUnit.Add(s2, s3)));
            Put(m + 1, n, k, TUnit.Add(TUnit.Add(t0, t1), TUnit.Add(t2, t3)));
        }

        private readonly void Dot1x4(int m, int n)
        {
            TVector s0 = default, s1 = default, s2 = default, s3 = default;
            float* a = LeftRow(m);
            byte* b0 = RightRow(n), b1 = RightRow(n + 1), b2 = RightRow(n + 2), b3 = RightRow(n + 3);
            int k = 0;
            for (; k <= Sizes.Depth - TUnit.Lanes; k += TUnit.Lanes)
            {
                TVector x = X(a + k);
                int at = k * TElements.Size;
                FetchNext(b0 + at, b1 + at, b2 + at, b3 + at, k);
                s0 = TUnit.MultiplyAdd(x, W(b0 + at), s0);
                s1 = TUnit.MultiplyAdd(x, W(b1 + at), s1);
                s2 = TUnit.MultiplyAdd(x, W(b2 + at), s2);
                s3 = TUnit.MultiplyAdd(x, W(b3 + at), s3);
            }

            Put(m, n, k, s0);
            Put(m, n + 1, k, s1);
            Put(m, n + 2, k, s2);
            Put(m, n + 3, k, s3);
        }

        private readonly void Dot2x4(int m, int n)
        {
            TVector s0 = default, s1 = default, s2 = default, s3 = default, t0 = default, t1 = default, t2 = default, t3 = default;
            float* a = LeftRow(m), c = LeftRow(m + 1);
            byte* b0 = RightRow(n), b1 = RightRow(n + 1), b2 = RightRow(n + 2), b3 = RightRow(n + 3);
            int k = 0;
            for (; k <= Sizes.Depth - TUnit.Lanes; k += TUnit.Lanes)
            {
                TVector x = X(a + k), y = X(c + k);
                int at = k * TElements.Size;
                FetchNext(b0 + at, b1 + at, b2 + at, b3 + at, k);
                TVector w0 = W(b0 + at), w1 = W(b1 + at);
                s0 = TUnit.MultiplyAdd(x, w0, s0);
                t0 = TUnit.MultiplyAdd(y, w0, t0);
                s1 = TUnit.MultiplyAdd(x, w1, s1);
                t1 = TUnit.MultiplyAdd(y, w1, t1);
                TVector w2 = W(b2 + at), w3 = W(b3 + at);
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

        // The next four rows of B, a cache line of each at a time: four short streams are too many for the processor to foresee.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void FetchNext(byte* b0, byte* b1, byte* b2, byte* b3, int k)
        {
            if (!Sse.IsSupported || k * TElements.Size % 64 != 0) return;
            long ahead = 4L * Sizes.RightStride * TElements.Size;
            Sse.Prefetch0(b0 + ahead);
            Sse.Prefetch0(b1 + ahead);
            Sse.Prefetch0(b2 + ahead);
            Sse.Prefetch0(b3 + ahead);
        }

        // Adds the lanes, the steps from k on that fill no vector, and the bias.
        private readonly void Put(int m, int n, int k, TVector lanes)
        {
            float sum = TUnit.Total(lanes);
            float* a = LeftRow(m);
            byte* b = RightRow(n);
            for (; k < Sizes.Depth; k++) sum += a[k] * TElements.Load(b + k * TElements.Size);
            if (Sizes.ColumnScale != null) sum *= Sizes.ColumnScale[n];
            if (Sizes.Bias != null) sum += Sizes.Bias[n];
            float* c = Sizes.C + (long)m * Sizes.Columns + n;
            *c = Sizes.Accumulate ? *c + sum : sum;
        }
    }
}
