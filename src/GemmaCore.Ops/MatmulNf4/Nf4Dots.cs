using System.Buffers;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// y = w·x (+ b) for one row of x, as in decoding: codes are looked up in registers and multiplied where they are, block by block; the magnitude multiplies
/// the block's sum. A byte holds two neighbours, and their lookups give the even and the odd elements of a run: x is arranged like that beforehand.
/// </summary>
internal static unsafe class Nf4Dots
{
    private const int BytesPerPart = 64 << 10;

    /// <summary>True for one row and whole blocks a row, where the processor has the vectors.</summary>
    public static bool Suits(int rows, int columns) => rows == 1 && columns % Nf4.BlockSize == 0 && Avx2.IsSupported && Fma.IsSupported;

    public static void Run(WorkerPool workers, Nf4Rows rows, float* x, float* bias, float* y, int outputs)
    {
        int lanes = Avx512F.IsSupported ? Vector512<float>.Count : Vector256<float>.Count;
        float[] rented = ArrayPool<float>.Shared.Rent(rows.Columns);
        fixed (float* arranged = rented)
        {
            Arrange(x, rows.Columns, lanes, arranged);
            int step = Math.Clamp(BytesPerPart / (rows.Columns / 2), 4, 1 << 12);
            var work = new Work { Rows = rows, X = arranged, Bias = bias, Y = y, Outputs = outputs, Step = step };
            workers.Run(ref work, (outputs + step - 1) / step);
        }

        ArrayPool<float>.Shared.Return(rented);
    }

    // Of every 2·lanes elements first the even ones, then the odd ones.
    private static void Arrange(float* x, int columns, int lanes, float* arranged)
    {
        for (int run = 0; run < columns; run += 2 * lanes)
            for (int i = 0; i < lanes; i++) (arranged[run + i], arranged[run + lanes + i]) = (x[run + 2 * i], x[run + 2 * i + 1]);
    }

    private struct Work : IWork
    {
        public Nf4Rows Rows;
        public float* X, Bias, Y;
        public int Outputs, Step;

        public readonly void Execute(int index)
        {
            int end = Math.Min(Outputs, (index + 1) * Step);
            for (int n = index * Step; n < end; n++) Y[n] = (Avx512F.IsSupported ? Dot512(n) : Dot256(n)) + (Bias == null ? 0 : Bias[n]);
        }

        private readonly float Dot512(int n)
        {
            byte* codes = Rows.CodesOf(n);
            long block = (long)n * (Rows.Columns / Nf4.BlockSize);
            Vector512<float> total = Vector512<float>.Zero;
            for (float* x = X, end = X + Rows.Columns; x < end; x += Nf4.BlockSize, codes += Nf4.BlockSize / 2, block++)
            {
                Vector512<int> first = Avx512F.ConvertToVector512Int32(Vector128.Load(codes)), second = Avx512F.ConvertToVector512Int32(Vector128.Load(codes + 16));
                Vector512<float> a = Nf4Lookup.Of(first >>> 4) * Vector512.Load(x), b = Nf4Lookup.Of(second >>> 4) * Vector512.Load(x + 32);
                a = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(first), Vector512.Load(x + 16), a);
                b = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(second), Vector512.Load(x + 48), b);
                total = Vector512.FusedMultiplyAdd(a + b, Vector512.Create(Rows.AbsmaxOf(block)), total);
            }

            return Vector512.Sum(total);
        }

        private readonly float Dot256(int n)
        {
            byte* codes = Rows.CodesOf(n);
            long block = (long)n * (Rows.Columns / Nf4.BlockSize);
            Vector256<float> total = Vector256<float>.Zero;
            for (float* x = X, end = X + Rows.Columns; x < end; x += Nf4.BlockSize, block++)
            {
                Vector256<float> a = Vector256<float>.Zero, b = a;
                for (int run = 0; run < Nf4.BlockSize; run += 16, codes += 8)
                {
                    Vector256<int> pairs = Avx2.ConvertToVector256Int32(codes);
                    a = Fma.MultiplyAdd(Nf4Lookup.Of(pairs >>> 4), Vector256.Load(x + run), a);
                    b = Fma.MultiplyAdd(Nf4Lookup.Of(pairs), Vector256.Load(x + run + 8), b);
                }

                total = Fma.MultiplyAdd(a + b, Vector256.Create(Rows.AbsmaxOf(block)), total);
            }

            return Vector256.Sum(total);
        }
    }
}
