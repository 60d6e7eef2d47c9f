using System.Runtime.Intrinsics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class Embedding
{
    private static void ForwardCpu(CpuDevice cpu, TensorView ids, TensorView table, float scale, TensorView y)
    {
        int* id = CheckedIds(ids, table.Shape[0]);
        switch (table.DType)
        {
            case DType.F32: Run<F32Elements>(cpu, id, table, null, scale, y); break;
            case DType.BF16: Run<BF16Elements>(cpu, id, table, null, scale, y); break;
            default: Run<F16Elements>(cpu, id, table, null, scale, y); break;
        }
    }

    private static void ForwardCpu(CpuDevice cpu, TensorView ids, Int8Matrix table, float scale, TensorView y) =>
        Run<I8Elements>(cpu, CheckedIds(ids, table.Shape[0]), table.Codes, table.Absmax.Floats, scale, y);

    private static int* CheckedIds(TensorView ids, int vocabulary)
    {
        int* id = ids.Ints;
        for (int row = 0; row < ids.Shape.ElementCount; row++)
            Require.That((uint)id[row] < (uint)vocabulary, "Embedding.Forward", $"id {id[row]} at row {row} is not in the table of {vocabulary} rows");
        return id;
    }

    private static void Run<TElements>(CpuDevice cpu, int* ids, TensorView table, float* absmax, float scale, TensorView y) where TElements : struct, IElements
    {
        var work = new Work<TElements>
        {
            Ids = ids, Table = (byte*)table.Pointer, Absmax = absmax, Y = y.Floats, Scale = scale, Rows = y.Shape[0], Columns = y.Shape[1],
        };
        cpu.Workers.Run(ref work, RowBlocks.Count(work.Rows, work.Columns));
    }

    private struct Work<TElements> : IWork where TElements : struct, IElements
    {
        public int* Ids;
        public byte* Table;
        /// <summary>Magnitudes of 8-bit rows; null for plain elements.</summary>
        public float* Absmax;

        public float* Y;
        public float Scale;
        public int Rows, Columns;

        public readonly void Execute(int index)
        {
            (int first, int end) = RowBlocks.Range(index, Rows, Columns);
            for (int row = first; row < end; row++)
            {
                byte* source = Table + (long)Ids[row] * Columns * TElements.Size;
                float* y = Y + (long)row * Columns;
                float rowScale = Absmax == null ? 1 : Absmax[Ids[row]] / Int8.Largest;
                int i = 0;
                for (; i <= Columns - 8; i += 8) Vector256.Store(TElements.Load8(source + i * TElements.Size) * rowScale * Scale, y + i);
                for (; i < Columns; i++) y[i] = TElements.Load(source + i * TElements.Size) * rowScale * Scale;
            }
        }
    }
}
