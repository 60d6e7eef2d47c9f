using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// y = x·wᵀ (+ b) for up to eight rows of x, as in decoding, and 8-bit codes: they are widened in registers where they lie, and a group's scale multiplies the
/// group's sum. Two rows of w meet four rows of x at once: widening a vector costs as much as two multiply-adds.
/// A sum is one chain within a group and one over the groups, whatever the tile: a row of y is the same, bit for bit, whatever rows of x stand beside it.
/// </summary>
internal static unsafe class Int8Dots
{
    // Some 5 µs of one core's share of memory bandwidth.
    private const int BytesPerPart = 128 << 10;

    /// <summary>Multiplies.</summary>
    /// <param name="workers">Threads.</param>
    /// <param name="codes">[<paramref name="outputs"/>, <paramref name="inputs"/>].</param>
    /// <param name="scales">What a code of one stands for.</param>
    /// <param name="x">[<paramref name="rows"/>, <paramref name="inputs"/>]; <see cref="RowDots.Suits"/> holds.</param>
    /// <param name="rows">T.</param>
    /// <param name="bias">[<paramref name="outputs"/>], or null.</param>
    /// <param name="y">[<paramref name="rows"/>, <paramref name="outputs"/>].</param>
    /// <param name="outputs">O.</param>
    /// <param name="inputs">K.</param>
    public static void Run<TScales>(WorkerPool workers, byte* codes, TScales scales, float* x, int rows, float* bias, float* y, int outputs, int inputs)
        where TScales : struct, IInt8Scales
    {
        var product = new Int8Product<TScales>
        {
            Codes = codes, Scales = scales, X = x, Y = y, Bias = bias, Rows = rows, Outputs = outputs, Inputs = inputs,
        };
        if (Avx512F.IsSupported) Run<Vector512<float>, Unit512, TScales>(workers, product);
        else if (Fma.IsSupported && Avx2.IsSupported) Run<Vector256<float>, Unit256, TScales>(workers, product);
        else Run<float, UnitScalar, TScales>(workers, product);
    }

    private static void Run<TVector, TUnit, TScales>(WorkerPool workers, in Int8Product<TScales> product)
        where TVector : unmanaged where TUnit : struct, IVectorUnit<TVector> where TScales : struct, IInt8Scales
    {
        int step = Math.Clamp(BytesPerPart / Math.Max(1, product.Inputs) / 2 * 2, 4, 1 << 12);
        var work = new Work<TVector, TUnit, TScales> { Product = product, Whole = product.Inputs / TUnit.Lanes * TUnit.Lanes, Step = step };
        workers.Run(ref work, (product.Outputs + step - 1) / step);
    }

    private struct Work<TVector, TUnit, TScales> : IWork
        where TVector : unmanaged where TUnit : struct, IVectorUnit<TVector> where TScales : struct, IInt8Scales
    {
        public Int8Product<TScales> Product;

        /// <summary>Elements of a row that fill vectors, rows of w in a part.</summary>
        public int Whole, Step;

        public readonly void Execute(int index)
        {
            int first = index * Step, end = Math.Min(Product.Outputs, first + Step), half = (end - first + 1) / 2, rows = Product.Rows;
            for (int n = first; n < first + half; n++)
            {
                int m = 0, next = RowStreams.Beside(n, half, end);
                // AVX2 has no registers for the sums over the groups: they are needed once a group, and wait in memory.
                for (; m <= rows - 4; m += 4) Dot4x2(m, n, next);
                for (; m <= rows - 2; m += 2) Dot2x2(m, n, next);
                if (m < rows) Dot1x2(m, n, next);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static TVector X(float* source) => TUnit.Load<F32Elements>((byte*)source);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static TVector W(byte* source) => TUnit.Load<I8Elements>(source);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly TVector Scale(int n, int group) => TUnit.Broadcast(Product.Scales.Of(n, group));

        // A group of two rows.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void FetchAhead(byte* a, byte* b)
        {
            RowStreams.FetchAhead(a);
            RowStreams.FetchAhead(b);
            RowStreams.FetchAhead(a + 64);
            RowStreams.FetchAhead(b + 64);
        }

        private readonly void Dot1x2(int m, int n, int next)
        {
            TVector s = default, t = default;
            byte* a = Product.CodeRow(n), b = Product.CodeRow(next);
            float* x = Product.XRow(m);
            int step = TUnit.Lanes, k = 0;
            for (int group = 0; k < Whole; group++)
            {
                FetchAhead(a + k, b + k);
                TVector u = default, v = default;
                int stop = Math.Min(k + Int8Group.Size, Whole);
                for (; k <= stop - 2 * step; k += 2 * step)
                {
                    TVector x0 = X(x + k), x1 = X(x + k + step);
                    u = TUnit.MultiplyAdd(x0, W(a + k), u);
                    v = TUnit.MultiplyAdd(x0, W(b + k), v);
                    u = TUnit.MultiplyAdd(x1, W(a + k + step), u);
                    v = TUnit.MultiplyAdd(x1, W(b + k + step), v);
                }

                if (k < stop)
                {
                    TVector x0 = X(x + k);
                    u = TUnit.MultiplyAdd(x0, W(a + k), u);
                    v = TUnit.MultiplyAdd(x0, W(b + k), v);
                    k += step;
                }

                s = TUnit.MultiplyAdd(u, Scale(n, group), s);
                t = TUnit.MultiplyAdd(v, Scale(next, group), t);
            }

            Put(m, n, s);
            Put(m, next, t);
        }

        private readonly void Dot2x2(int m, int n, int next)
        {
            TVector s0 = default, s1 = default, t0 = default, t1 = default;
            byte* a = Product.CodeRow(n), b = Product.CodeRow(next);
            float* x = Product.XRow(m), y = Product.XRow(m + 1);
            int step = TUnit.Lanes, k = 0;
            for (int group = 0; k < Whole; group++)
            {
                FetchAhead(a + k, b + k);
                TVector u0 = default, u1 = default, v0 = default, v1 = default;
                for (int stop = Math.Min(k + Int8Group.Size, Whole); k < stop; k += step)
                {
                    TVector p = W(a + k), q = W(b + k), x0 = X(x + k), x1 = X(y + k);
                    u0 = TUnit.MultiplyAdd(x0, p, u0);
                    v0 = TUnit.MultiplyAdd(x0, q, v0);
                    u1 = TUnit.MultiplyAdd(x1, p, u1);
                    v1 = TUnit.MultiplyAdd(x1, q, v1);
                }

                TVector f = Scale(n, group), g = Scale(next, group);
                s0 = TUnit.MultiplyAdd(u0, f, s0);
                t0 = TUnit.MultiplyAdd(v0, g, t0);
                s1 = TUnit.MultiplyAdd(u1, f, s1);
                t1 = TUnit.MultiplyAdd(v1, g, t1);
            }

            Put(m, n, s0);
            Put(m, next, t0);
            Put(m + 1, n, s1);
            Put(m + 1, next, t1);
        }

        private readonly void Dot4x2(int m, int n, int next)
        {
            TVector s0 = default, s1 = default, s2 = default, s3 = default, t0 = default, t1 = default, t2 = default, t3 = default;
            byte* a = Product.CodeRow(n), b = Product.CodeRow(next);
            float* x = Product.XRow(m), y = Product.XRow(m + 1), z = Product.XRow(m + 2), w = Product.XRow(m + 3);
            int step = TUnit.Lanes, k = 0;
            for (int group = 0; k < Whole; group++)
            {
                FetchAhead(a + k, b + k);
                TVector u0 = default, u1 = default, u2 = default, u3 = default, v0 = default, v1 = default, v2 = default, v3 = default;
                for (int stop = Math.Min(k + Int8Group.Size, Whole); k < stop; k += step)
                {
                    TVector p = W(a + k), q = W(b + k), x0 = X(x + k), x1 = X(y + k);
                    u0 = TUnit.MultiplyAdd(x0, p, u0);
                    v0 = TUnit.MultiplyAdd(x0, q, v0);
                    u1 = TUnit.MultiplyAdd(x1, p, u1);
                    v1 = TUnit.MultiplyAdd(x1, q, v1);
                    x0 = X(z + k);
                    x1 = X(w + k);
                    u2 = TUnit.MultiplyAdd(x0, p, u2);
                    v2 = TUnit.MultiplyAdd(x0, q, v2);
                    u3 = TUnit.MultiplyAdd(x1, p, u3);
                    v3 = TUnit.MultiplyAdd(x1, q, v3);
                }

                TVector f = Scale(n, group), g = Scale(next, group);
                s0 = TUnit.MultiplyAdd(u0, f, s0);
                t0 = TUnit.MultiplyAdd(v0, g, t0);
                s1 = TUnit.MultiplyAdd(u1, f, s1);
                t1 = TUnit.MultiplyAdd(v1, g, t1);
                s2 = TUnit.MultiplyAdd(u2, f, s2);
                t2 = TUnit.MultiplyAdd(v2, g, t2);
                s3 = TUnit.MultiplyAdd(u3, f, s3);
                t3 = TUnit.MultiplyAdd(v3, g, t3);
            }

            Put(m, n, s0);
            Put(m, next, t0);
            Put(m + 1, n, s1);
            Put(m + 1, next, t1);
            Put(m + 2, n, s2);
            Put(m + 2, next, t2);
            Put(m + 3, n, s3);
            Put(m + 3, next, t3);
        }

        // Adds the lanes, the elements that fill no vector, all of the last group, and the bias.
        private readonly void Put(int m, int n, TVector lanes)
        {
            float sum = TUnit.Total(lanes);
            if (Whole < Product.Inputs)
            {
                byte* codes = Product.CodeRow(n);
                float* x = Product.XRow(m);
                float rest = 0;
                for (int k = Whole; k < Product.Inputs; k++) rest += x[k] * I8Elements.Load(codes + k);
                sum += rest * Product.Scales.Of(n, Whole / Int8Group.Size);
            }

            Product.Y[(long)m * Product.Outputs + n] = Product.Bias == null ? sum : sum + Product.Bias[n];
        }
    }
}

/// <summary>What a code of one stands for.</summary>
internal interface IInt8Scales
{
    /// <summary>In a row's group of <see cref="Int8Group.Size"/> inputs.</summary>
    float Of(int row, int group);
}

/// <summary>Operands of a product with few rows.</summary>
internal unsafe struct Int8Product<TScales> where TScales : struct, IInt8Scales
{
    /// <summary>[Outputs, Inputs].</summary>
    public byte* Codes;

    public TScales Scales;

    /// <summary>[Rows, Inputs].</summary>
    public float* X;

    /// <summary>[Rows, Outputs].</summary>
    public float* Y;

    /// <summary>[Outputs], or null.</summary>
    public float* Bias;

    /// <summary>T, O, K.</summary>
    public int Rows, Outputs, Inputs;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly byte* CodeRow(int n) => Codes + (long)n * Inputs;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly float* XRow(int m) => X + (long)m * Inputs;
}
