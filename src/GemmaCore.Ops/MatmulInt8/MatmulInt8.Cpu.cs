using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class MatmulInt8
{
    internal static void ForwardCpu(CpuDevice cpu, TensorView x, Int8Matrix w, TensorView bias, TensorView y)
    {
        int rows = x.Shape.Rows, outputs = w.Shape[0];
        float* b = bias.IsEmpty ? null : bias.Floats;
        if (RowDots.Suits(rows)) Int8Dots.Run(cpu.Workers, (byte*)w.Codes.Pointer, new RowScales(w), x.Floats, rows, b, y.Floats, outputs, w.Shape[1]);
        else Gemm.NT(cpu.Workers, x.Floats, new Int8Rows(w), y.Floats, rows, outputs, b);
    }

    internal static void BackwardCpu(CpuDevice cpu, TensorView dY, Int8Matrix w, TensorView dX, bool accumulate) =>
        Gemm.NN(cpu.Workers, dY.Floats, new Int8Rows(w), dX.Floats, dY.Shape.Rows, w.Shape[0], accumulate);

    private readonly struct RowScales(Int8Matrix w) : IInt8Scales
    {
        private readonly float* _absmax = w.Absmax.Floats;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public float Of(int row, int group) => _absmax[row] / Int8.Largest;
    }

    private readonly struct Int8Rows(Int8Matrix w) : IWeightRows
    {
        private readonly byte* _codes = (byte*)w.Codes.Pointer;
        private readonly float* _absmax = w.Absmax.Floats;

        public int Columns { get; } = w.Shape[1];

        public void Read(int row, int first, int count, float* target)
        {
            byte* source = _codes + (long)row * Columns + first;
            float scale = _absmax[row] / Int8.Largest;
            int i = 0;
            if (Vector256.IsHardwareAccelerated)
                for (; i <= count - 8; i += 8) (I8Elements.Load8(source + i) * scale).Store(target + i);
            for (; i < count; i++) target[i] = (sbyte)source[i] * scale;
        }
    }
}
