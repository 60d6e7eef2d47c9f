using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>How the elements of a packed matrix are divided by powers of two before they are rounded.</summary>
internal enum PackScale
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>Each row by its own.</summary>
    Row,

    /// <summary>All by one, for a sum that runs over the rows.</summary>
    Matrix,
}

/// <summary>A matrix in scratch memory as tensor cores read it: 16-bit elements, rows padded to eight with zeros.</summary>
/// <param name="Values">[rows, columns rounded up to 8] f16 or bf16.</param>
/// <param name="Exponents">i32, one a row or one: elements are the matrix's over 2^exponent. Default where nothing is scaled.</param>
internal readonly record struct PackedMatrix(TensorView Values, TensorView Exponents)
{
    // Powers of two from here on are normal floats, their inverses too.
    private const int LowestExponent = -126;
    private const int AbsMaxThreads = 128, MostMaxima = 256;

    /// <summary>Packs into the card's scratch memory; only f16 is ever scaled, since bf16 has the range of f32.</summary>
    /// <param name="cuda">Card.</param>
    /// <param name="matrix">Seen as rows of its innermost dimension.</param>
    /// <param name="type">F16 or BF16.</param>
    /// <param name="scale">Of f16.</param>
    /// <param name="beside">Row exponents of the first pair when this is the second of the same sums, so that they can meet; or default.</param>
    /// <param name="lowest">No exponent is below it.</param>
    public static PackedMatrix Of(CudaDevice cuda, TensorView matrix, DType type, PackScale scale, TensorView beside = default, int lowest = LowestExponent)
    {
        int rows = matrix.Shape.Rows, columns = matrix.Shape.Columns;
        TensorView values = cuda.Scratch.Take(new Shape(rows, (columns + 7) & ~7), type), exponents = default, maxima = default;
        if (type == DType.F16 && scale != PackScale.None) exponents = cuda.Scratch.Take(new Shape(rows), DType.I32);
        int maximaCount = 0;
        if (!exponents.IsEmpty && scale == PackScale.Matrix)
        {
            long count = matrix.Shape.ElementCount;
            maximaCount = (int)Math.Min(MostMaxima, (count + 8 * AbsMaxThreads - 1) / (8 * AbsMaxThreads));
            maxima = cuda.Scratch.Take(new Shape(maximaCount), DType.I32);
            cuda.Launch(MatmulKernels.AbsMax, new LaunchGrid(maximaCount, AbsMaxThreads), matrix, maxima, count);
        }

        cuda.Launch(
            MatmulKernels.Pack(matrix.DType, type), new LaunchGrid(rows, 128), matrix, values, exponents, beside, maxima, maximaCount, columns, lowest);
        return new PackedMatrix(values, exponents);
    }
}
