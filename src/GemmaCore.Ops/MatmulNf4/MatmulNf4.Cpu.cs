using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class MatmulNf4
{
    internal static void ForwardCpu(CpuDevice cpu, TensorView x, Nf4Matrix w, TensorView bias, TensorView y)
    {
        float* b = bias.IsEmpty ? null : bias.Floats;
        if (Nf4Dots.Suits(x.Shape.Rows, w.Shape[1])) Nf4Dots.Run(cpu.Workers, w, x.Floats, x.Shape.Rows, b, y.Floats);
        else Gemm.NT(cpu.Workers, x.Floats, new Nf4Rows(w), y.Floats, x.Shape.Rows, w.Shape[0], b);
    }

    internal static void BackwardCpu(CpuDevice cpu, TensorView dY, Nf4Matrix w, TensorView dX, bool accumulate) =>
        Gemm.NN(cpu.Workers, dY.Floats, new Nf4Rows(w), dX.Floats, dY.Shape.Rows, w.Shape[0], accumulate);
}
