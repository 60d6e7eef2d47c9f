using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>Token embeddings: y[t] = scale · table[ids[t]]. The table is frozen, so there is no backward pass.</summary>
public static partial class Embedding
{
    /// <summary>Looks up and scales rows.</summary>
    /// <param name="ids">[T] i32.</param>
    /// <param name="table">[V, D] f32, bf16 or f16; on the CPU it may be unaligned mapped memory.</param>
    /// <param name="scale">Factor on every element (√D for Gemma, gemma3.md §3.1).</param>
    /// <param name="y">[T, D] f32.</param>
    /// <exception cref="ShapeException">Shapes do not fit, or an id is not a row of the table. A card, which nobody waits for, makes NaN of such a row instead.</exception>
    public static void Forward(TensorView ids, TensorView table, float scale, TensorView y)
    {
        const string operation = "Embedding.Forward";
        Require.That(!table.IsEmpty && table.DType.IsFloat() && table.Shape.Rank == 2, operation, $"table must be a float matrix [V, D], got {table}");
        CheckOperands(operation, ids, table.Shape, y);
        if (y.Device is CpuDevice cpu) ForwardCpu(cpu, ids, table, scale, y);
        else if (y.Device is CudaDevice cuda) ForwardCuda(cuda, ids, table, scale, y);
        else throw Require.NoSuchDevice(operation, y.Device);
    }

    /// <summary>The same from a table of 8-bit rows, dequantised (code · magnitude / 127) and then scaled.</summary>
    /// <param name="ids">[T] i32.</param>
    /// <param name="table">[V, D].</param>
    /// <param name="scale">Factor on every element.</param>
    /// <param name="y">[T, D] f32.</param>
    /// <exception cref="ShapeException">As for the table of plain elements.</exception>
    public static void Forward(TensorView ids, Int8Matrix table, float scale, TensorView y)
    {
        const string operation = "Embedding.Forward";
        ArgumentNullException.ThrowIfNull(table);
        CheckOperands(operation, ids, table.Shape, y);
        if (y.Device is CpuDevice cpu) ForwardCpu(cpu, ids, table, scale, y);
        else if (y.Device is CudaDevice cuda) ForwardCuda(cuda, ids, table, scale, y);
        else throw Require.NoSuchDevice(operation, y.Device);
    }

    /// <summary>The same from a table in whatever form it is held.</summary>
    /// <exception cref="ShapeException">As above, or the table's form has no rows to look up.</exception>
    public static void Forward(TensorView ids, WeightMatrix table, float scale, TensorView y)
    {
        if (table is DenseMatrix dense) Forward(ids, dense.View, scale, y);
        else if (table is Int8Matrix int8) Forward(ids, int8, scale, y);
        else throw new ShapeException($"Embedding.Forward: a table of embeddings must be dense or int8, got {table}");
    }

    private static void CheckOperands(string operation, TensorView ids, Shape table, TensorView y)
    {
        Require.That(y.Shape.Rank == 2, operation, $"y must be [T, {table[1]}], got {y}");
        Require.Shape(operation, "y", y, new Shape(y.Shape[0], table[1]));
        Require.Ints(operation, "ids", ids, y.Shape[0]);
    }
}
