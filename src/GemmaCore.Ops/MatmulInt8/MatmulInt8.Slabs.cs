using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <remarks>
/// A matrix too large to exist a second time on a card, as the head of a model with 262208 tokens: a slab of its rows at a time is dequantised and multiplied.
/// A slab's part of y (or of dY) is columns of it, which are copied: 8 bytes for 2·K operations.
/// </remarks>
public static unsafe partial class MatmulInt8
{
    // 128 MiB in 16 bits, above every linear layer of the 4B model (26 M elements); slabs of 16 MiB (kernels.md §1.6).
    private const long MostElements = 1L << 26, SlabElements = 1L << 23;

    private const int ColumnThreads = 256, ColumnsPerBlock = 1024;

    private static readonly CudaKernel ColumnsKernel = new("matmul_int8_columns.cu", "matmul_int8_columns");

    private static bool NeedsSlabs(Shape w) => w.ElementCount > MostElements;

    private static int SlabRows(Shape w) => (int)Math.Max(1, SlabElements / CodeTiles.Outputs / Math.Max(1, w[1])) * CodeTiles.Outputs;

    /// <summary>y = x·wᵀ + bias by slabs of <paramref name="slabRows"/> rows of w.</summary>
    internal static void ForwardSlabs(CudaDevice cuda, TensorView x, Int8Matrix w, TensorView bias, TensorView y, int slabRows)
    {
        int rows = x.Shape.Rows, outputs = w.Shape[0];
        Arena.Mark start = cuda.Scratch.Position;
        PackedMatrix packed = Matmul.Pack(cuda, MatmulLayout.NT, x);
        for (int first = 0; first < outputs; first += slabRows)
        {
            int count = Math.Min(slabRows, outputs - first);
            Arena.Mark slab = cuda.Scratch.Position;
            TensorView dense = Dequantize(cuda, w, first, count), slabBias = bias.IsEmpty ? default : bias.Slice(first, count);
            // One row of y is contiguous where the slab's part of it is.
            TensorView part = rows == 1 ? y.Reshape(new Shape(outputs)).Slice(first, count).Reshape(new Shape(1, count)) : cuda.Scratch.Take(new Shape(rows, count));
            Matmul.NT(cuda, x, dense, part, slabBias, packed: packed);
            if (rows > 1) CopyColumns(cuda, part, 0, y, first, count);
            cuda.Scratch.Rewind(slab);
        }

        cuda.Scratch.Rewind(start);
    }

    /// <summary>dX = dY·w (+ dX), added up over slabs of <paramref name="slabRows"/> rows of w.</summary>
    internal static void BackwardSlabs(CudaDevice cuda, TensorView dY, Int8Matrix w, TensorView dX, bool accumulate, int slabRows)
    {
        int rows = dY.Shape.Rows, outputs = w.Shape[0];
        if (rows == 0) return;
        for (int first = 0; first < outputs; first += slabRows)
        {
            int count = Math.Min(slabRows, outputs - first);
            Arena.Mark slab = cuda.Scratch.Position;
            TensorView dense = Dequantize(cuda, w, first, count), part = cuda.Scratch.Take(new Shape(rows, count));
            CopyColumns(cuda, dY, first, part, 0, count);
            Matmul.NN(cuda, part, dense, dX, accumulate || first > 0);
            cuda.Scratch.Rewind(slab);
        }
    }

    private static void CopyColumns(CudaDevice cuda, TensorView from, int fromColumn, TensorView to, int toColumn, int count)
    {
        int blocksPerRow = (count + ColumnsPerBlock - 1) / ColumnsPerBlock;
        cuda.Launch(
            ColumnsKernel, new LaunchGrid((long)from.Shape.Rows * blocksPerRow, ColumnThreads), from, fromColumn, from.Shape.Columns, to, toColumn, to.Shape.Columns,
            count, blocksPerRow);
    }
}
