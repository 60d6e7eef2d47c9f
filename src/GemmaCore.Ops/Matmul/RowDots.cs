using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// C[M,N] = (or +=) A[M,K]·B[N,K]ᵀ for a few rows of A, as in decoding: B is read once, straight from where it lies, as <see cref="RowStreams"/> says, and widened in registers.
/// Every sum is four interleaved chains, whatever the tile: a row of C is the same, bit for bit, whatever rows of A stand beside it.
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

    public static void Run<TElements>(WorkerPool workers, in GemmSizes sizes) where TElements : struct, IElements
    {
        if (Avx512F.IsSupported) Run<Vector512<float>, Unit512, TElements>(workers, sizes);
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
            int first = index * Step, end = Math.Min(Sizes.Columns, first + Step), half = (end - first + 1) / 2;
            for (int n = first; n < first + half; n++)
            {
                int m = 0, next = RowStreams.Beside(n, half, end);
                // Sixteen sums: as many registers as AVX2 has in all.
                if (TUnit.Lanes == Vector512<float>.Count)
                    for (; m <= Sizes.Rows - 2; m += 2) Dot2x2(m, n, next);
                for (; m < Sizes.Rows; m++) Dot1x2(m, n, next);
            }
        }

        private readonly byte* RightRow(int n) => (byte*)Sizes.Right + (long)n * Sizes.RightStride * TElements.Size;

        private readonly float* LeftRow(int m) => Sizes.Left + (long)m * Sizes.LeftStride;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static TVector X(float* source) => TUnit.Load<F32Elements>((byte*)source);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static TVector W(byte* source) => TUnit.Load<TElements>(source);

        private readonly void Dot1x2(int m, int n, int next)
        {
            TVector s0 = default, s1 = default, s2 = default, s3 = default, t0 = default, t1 = default, t2 = default, t3 = default;
            float* a = LeftRow(m);
            byte* b = RightRow(n), c = RightRow(next);
            int step = TUnit.Lanes, bytes = step * TElements.Size, k = 0;
            for (; k <= Sizes.Depth - 4 * step; k += 4 * step, b += 4 * bytes, c += 4 * bytes)
            {
                FetchAhead(b, c, 4 * bytes);
                TVector x = X(a + k), y = X(a + k + step);
                s0 = TUnit.MultiplyAdd(x, W(b), s0);
                t0 = TUnit.MultiplyAdd(x, W(c), t0);
                s1 = TUnit.MultiplyAdd(y, W(b + bytes), s1);
                t1 = TUnit.MultiplyAdd(y, W(c + bytes), t1);
                x = X(a + k + 2 * step);
                y = X(a + k + 3 * step);
                s2 = TUnit.MultiplyAdd(x, W(b + 2 * bytes), s2);
                t2 = TUnit.MultiplyAdd(x, W(c + 2 * bytes), t2);
                s3 = TUnit.MultiplyAdd(y, W(b + 3 * bytes), s3);
                t3 = TUnit.MultiplyAdd(y, W(c + 3 * bytes), t3);
            }

            for (; k <= Sizes.Depth - step; k += step, b += bytes, c += bytes)
            {
                s0 = TUnit.MultiplyAdd(X(a + k), W(b), s0);
                t0 = TUnit.MultiplyAdd(X(a + k), W(c), t0);
            }

            Put(m, n, k, TUnit.Add(TUnit.Add(s0, s1), TUnit.Add(s2, s3)));
            if (next != n) Put(m, next, k, TUnit.Add(TUnit.Add(t0, t1), TUnit.Add(t2, t3))); // else C would be added to twice
        }

        private readonly void Dot2x2(int m, int n, int next)
        {
            TVector s0 = default, s1 = default, s2 = default, s3 = default, t0 = default, t1 = default, t2 = default, t3 = default;
            TVector u0 = default, u1 = default, u2 = default, u3 = default, v0 = default, v1 = default, v2 = default, v3 = default;
            TVector x, y, w, z;
            float* a = LeftRow(m), d = LeftRow(m + 1);
            byte* b = RightRow(n), c = RightRow(next);
            int step = TUnit.Lanes, bytes = step * TElements.Size, k = 0;
            for (; k <= Sizes.Depth - 4 * step; k += 4 * step, b += 4 * bytes, c += 4 * bytes)
            {
                FetchAhead(b, c, 4 * bytes);
                x = X(a + k);
                y = X(d + k);
                w = W(b);
                z = W(c);
                s0 = TUnit.MultiplyAdd(x, w, s0);
                t0 = TUnit.MultiplyAdd(x, z, t0);
                u0 = TUnit.MultiplyAdd(y, w, u0);
                v0 = TUnit.MultiplyAdd(y, z, v0);
                x = X(a + k + step);
                y = X(d + k + step);
                w = W(b + bytes);
                z = W(c + bytes);
                s1 = TUnit.MultiplyAdd(x, w, s1);
                t1 = TUnit.MultiplyAdd(x, z, t1);
                u1 = TUnit.MultiplyAdd(y, w, u1);
                v1 = TUnit.MultiplyAdd(y, z, v1);
                x = X(a + k + 2 * step);
                y = X(d + k + 2 * step);
                w = W(b + 2 * bytes);
                z = W(c + 2 * bytes);
                s2 = TUnit.MultiplyAdd(x, w, s2);
                t2 = TUnit.MultiplyAdd(x, z, t2);
                u2 = TUnit.MultiplyAdd(y, w, u2);
                v2 = TUnit.MultiplyAdd(y, z, v2);
                x = X(a + k + 3 * step);
                y = X(d + k + 3 * step);
                w = W(b + 3 * bytes);
                z = W(c + 3 * bytes);
                s3 = TUnit.MultiplyAdd(x, w, s3);
                t3 = TUnit.MultiplyAdd(x, z, t3);
                u3 = TUnit.MultiplyAdd(y, w, u3);
                v3 = TUnit.MultiplyAdd(y, z, v3);
            }

            for (; k <= Sizes.Depth - step; k += step, b += bytes, c += bytes)
            {
                x = X(a + k);
                y = X(d + k);
                w = W(b);
                z = W(c);
                s0 = TUnit.MultiplyAdd(x, w, s0);
                t0 = TUnit.MultiplyAdd(x, z, t0);
                u0 = TUnit.MultiplyAdd(y, w, u0);
                v0 = TUnit.MultiplyAdd(y, z, v0);
            }

            Put(m, n, k, TUnit.Add(TUnit.Add(s0, s1), TUnit.Add(s2, s3)));
            if (next != n) Put(m, next, k, TUnit.Add(TUnit.Add(t0, t1), TUnit.Add(t2, t3)));
            Put(m + 1, n, k, TUnit.Add(TUnit.Add(u0, u1), TUnit.Add(u2, u3)));
            if (next != n) Put(m + 1, next, k, TUnit.Add(TUnit.Add(v0, v1), TUnit.Add(v2, v3)));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void FetchAhead(byte* b, byte* c, int bytes)
        {
            for (int at = 0; at < bytes; at += 64)
            {
                RowStreams.FetchAhead(b + at);
                RowStreams.FetchAhead(c + at);
            }
        }

        // Adds the lanes, the steps from k on that fill no vector, and the bias.
        private readonly void Put(int m, int n, int k, TVector lanes)
        {
            float sum = TUnit.Total(lanes);
            float* a = LeftRow(m);
            byte* b = RightRow(n);
            for (; k < Sizes.Depth; k++) sum += a[k] * TElements.Load(b + k * TElements.Size);
            if (Sizes.Bias != null) sum += Sizes.Bias[n];
            float* c = Sizes.C + (long)m * Sizes.Columns + n;
            *c = Sizes.Accumulate ? *c + sum : sum;
        }
    }
}
