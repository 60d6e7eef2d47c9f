using System.Buffers;
using System.Runtime.Intrinsics.X86;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// y = x·wᵀ (+ b) for up to eight rows of x, as in decoding: codes are looked up in registers and multiplied where they are; a block's magnitude multiplies the
/// block's sum. x is brought once into the order in which a tile's lookups give the elements of a vector of codes, and into its number format.
/// A sum is one chain over the blocks, whatever the tile: a row of y is the same, bit for bit, whatever rows of x stand beside it.
/// </summary>
internal static unsafe class Nf4Dots
{
    public const int BytesPerBlock = Nf4.BlockSize / 2;

    /// <summary>Floats in a line of the cache.</summary>
    public const int FloatsPerLine = 16;

    // Some 5 µs of one core's share of memory bandwidth.
    private const int BytesPerPart = 64 << 10;

    /// <summary>True for a few rows and whole blocks a row, where the processor has the vectors.</summary>
    public static bool Suits(int rows, int columns) => RowDots.Suits(rows) && columns > 0 && columns % Nf4.BlockSize == 0 && Avx2.IsSupported && Fma.IsSupported;

    /// <summary>True where the operands are rounded to integers, as <see cref="Nf4Tile256"/> says; false where they are multiplied as they are.</summary>
    public static bool RoundsOperands => !Avx512F.IsSupported;

    public static void Run(WorkerPool workers, Nf4Matrix w, float* x, int rows, float* bias, float* y)
    {
        if (w.Absmax.IsNested) Run(workers, w, new NestedMagnitudes(w.Absmax), x, rows, bias, y);
        else Run(workers, w, new PlainMagnitudes(w.Absmax), x, rows, bias, y);
    }

    private static void Run<TMagnitudes>(WorkerPool workers, Nf4Matrix w, TMagnitudes magnitudes, float* x, int rows, float* bias, float* y)
        where TMagnitudes : struct, INf4Magnitudes
    {
        if (RoundsOperands) Run<Nf4Tile256, TMagnitudes>(workers, w, magnitudes, x, rows, bias, y);
        else Run<Nf4Tile512, TMagnitudes>(workers, w, magnitudes, x, rows, bias, y);
    }

    private static void Run<TTile, TMagnitudes>(WorkerPool workers, Nf4Matrix w, TMagnitudes magnitudes, float* x, int rows, float* bias, float* y)
        where TTile : struct, INf4Tile where TMagnitudes : struct, INf4Magnitudes
    {
        int columns = w.Shape[1], outputs = w.Shape[0], stride = TTile.StrideOf(columns);
        float[] rented = ArrayPool<float>.Shared.Rent(rows * stride + FloatsPerLine);
        fixed (float* start = rented)
        {
            // No vector of x across two cache lines: there are as many loads of x as products.
            float* arranged = (float*)(((nint)start + FloatsPerLine * sizeof(float) - 1) & ~((nint)FloatsPerLine * sizeof(float) - 1));
            var order = new Order<TTile> { X = x, Columns = columns, Stride = stride, Arranged = arranged };
            workers.Run(ref order, rows);
            var work = new Work<TTile, TMagnitudes>
            {
                Product = new Nf4Product<TMagnitudes>
                {
                    Codes = (byte*)w.Codes.Pointer, Magnitudes = magnitudes, Blocks = columns / Nf4.BlockSize,
                    X = arranged, Stride = stride, Y = y, Outputs = outputs, Bias = bias,
                },
                Rows = rows,
                Step = Math.Clamp(BytesPerPart / (columns / 2) / 2 * 2, 4, 1 << 12),
            };
            workers.Run(ref work, (outputs + work.Step - 1) / work.Step);
        }

        ArrayPool<float>.Shared.Return(rented);
    }

    private struct Order<TTile> : IWork where TTile : struct, INf4Tile
    {
        public float* X, Arranged;
        public int Columns, Stride;

        public readonly void Execute(int index) => TTile.Arrange(X + (long)index * Columns, Columns, Arranged + (long)index * Stride);
    }

    private struct Work<TTile, TMagnitudes> : IWork where TTile : struct, INf4Tile where TMagnitudes : struct, INf4Magnitudes
    {
        public Nf4Product<TMagnitudes> Product;
        public int Rows, Step;

        public readonly void Execute(int index)
        {
            int first = index * Step, end = Math.Min(Product.Outputs, first + Step), half = (end - first + 1) / 2;
            for (int n = first; n < first + half; n++)
                for (int m = 0; m < Rows;) m += TTile.Multiply(Product, m, Rows - m, n, RowStreams.Beside(n, half, end));
        }
    }
}

/// <summary>The inner kernel of <see cref="Nf4Dots"/> for one vector width.</summary>
internal unsafe interface INf4Tile
{
    /// <summary>Floats that an arranged row of x takes, whole cache lines.</summary>
    static abstract int StrideOf(int columns);

    /// <summary>Brings a row of x into the form that <see cref="Multiply"/> wants.</summary>
    static abstract void Arrange(float* x, int columns, float* target);

    /// <summary>
    /// Computes two columns of y, which may be the same, in some of its rows from <paramref name="m"/> on. Every element is, over the vectors of codes,
    /// Σ magnitude · (Σ over lookups of value · x), sums whose order is the tile's alone, then the sum of the lanes and the bias.
    /// </summary>
    /// <returns>Rows computed, from 1 to <paramref name="rows"/>.</returns>
    static abstract int Multiply<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int rows, int n, int next) where TMagnitudes : struct, INf4Magnitudes;
}

/// <summary>Operands of a product with few rows.</summary>
internal unsafe struct Nf4Product<TMagnitudes> where TMagnitudes : struct, INf4Magnitudes
{
    /// <summary>[Outputs, Blocks] of 32 bytes.</summary>
    public byte* Codes;

    public TMagnitudes Magnitudes;

    /// <summary>Arranged rows, <see cref="Stride"/> floats apart.</summary>
    public float* X;

    /// <summary>[T, Outputs].</summary>
    public float* Y;

    /// <summary>[Outputs], or null.</summary>
    public float* Bias;

    /// <summary>Blocks of a row, floats between rows of x, columns of y.</summary>
    public int Blocks, Stride, Outputs;

    public readonly void Put(int m, int n, float sum) => Y[(long)m * Outputs + n] = Bias == null ? sum : sum + Bias[n];
}
