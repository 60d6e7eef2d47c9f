using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class ScatterRows
{
    private static void ForwardCpu(CpuDevice cpu, TensorView source, TensorView rows, TensorView y)
    {
        RowIndices.CheckDistinct("ScatterRows.Forward", rows, y.Shape[0]);
        if (y.DType == DType.BF16)
        {
            var narrow = new NarrowRows { Source = source.Floats, Y = (ushort*)y.Pointer, Rows = rows.Ints, Count = source.Shape[0], Columns = y.Shape[1] };
            cpu.Workers.Run(ref narrow, RowBlocks.Count(narrow.Count, narrow.Columns));
            return;
        }

        var work = new RowCopies { Listed = source.Floats, All = y.Floats, Rows = rows.Ints, Count = source.Shape[0], Columns = y.Shape[1] };
        cpu.Workers.Run(ref work, RowBlocks.Count(work.Count, work.Columns));
    }

    private static void BackwardCpu(CpuDevice cpu, TensorView dY, TensorView rows, TensorView dSource, bool accumulate)
    {
        var work = new RowCopies
        {
            Listed = dSource.Floats, All = dY.Floats, Rows = rows.Ints, Count = dSource.Shape[0], Columns = dY.Shape[1], ToListed = true, Add = accumulate,
        };
        cpu.Workers.Run(ref work, RowBlocks.Count(work.Count, work.Columns));
    }

    private static void ClearRowsCpu(TensorView dY, TensorView rows)
    {
        int columns = dY.Shape[1];
        for (int i = 0; i < rows.Shape.ElementCount; i++) new Span<float>(dY.Floats + (long)rows.Ints[i] * columns, columns).Clear();
    }

    private struct NarrowRows : IWork
    {
        public float* Source;
        public ushort* Y;
        public int* Rows;
        public int Count, Columns;

        public readonly void Execute(int index)
        {
            (int first, int end) = RowBlocks.Range(index, Count, Columns);
            for (int i = first; i < end; i++)
            {
                float* source = Source + ((long)i * Columns);
                ushort* y = Y + ((long)Rows[i] * Columns);
                for (int column = 0; column < Columns; column++) y[column] = BFloat16.FromSingle(source[column]);
            }
        }
    }
}
