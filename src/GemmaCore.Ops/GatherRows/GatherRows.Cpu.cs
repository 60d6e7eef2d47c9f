using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class GatherRows
{
    private static void ForwardCpu(CpuDevice cpu, TensorView x, TensorView rows, TensorView y)
    {
        RowIndices.Check("GatherRows.Forward", rows, x.Shape[0]);
        var work = new RowCopies { Listed = y.Floats, All = x.Floats, Rows = rows.Ints, Count = y.Shape[0], Columns = y.Shape[1], ToListed = true };
        cpu.Workers.Run(ref work, RowBlocks.Count(work.Count, work.Columns));
    }

    // One part: a row may be listed twice, and two threads must not add to it at once.
    private static void BackwardCpu(CpuDevice cpu, TensorView dY, TensorView rows, TensorView dX, bool accumulate)
    {
        if (!accumulate) cpu.Clear(dX);
        var work = new RowCopies { Listed = dY.Floats, All = dX.Floats, Rows = rows.Ints, Count = dY.Shape[0], Columns = dY.Shape[1], Add = true };
        for (int i = 0; i < RowBlocks.Count(work.Count, work.Columns); i++) work.Execute(i);
    }
}
