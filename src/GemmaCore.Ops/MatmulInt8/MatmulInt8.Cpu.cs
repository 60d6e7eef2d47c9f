using System.Buffers;
using System.Runtime.Intrinsics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class MatmulInt8
{
    internal static void ForwardCpu(CpuDevice cpu, TensorView x, Int8Matrix w, TensorView bias, TensorView y)
    {
        int rows = x.Shape.Rows, outputs = w.Shape[0], inputs = w.Shape[1];
        float* b = bias.IsEmpty ? null : bias.Floats;
        if (!RowDots.Suits(rows))
        {
            Gemm.NT(cpu.Workers, x.Floats, new Int8Rows(w), y.Floats, rows, outputs, b);
            return;
        }

        // Few rows: the codes' sums come first, and the scale once for each.
        float[] rented = ArrayPool<float>.Shared.Rent(outputs);
        fixed (float* scale = rented)
        {
            float* absmax = w.Absmax.Floats;
            for (int i = 0; i < outputs; i++) scale[i] = absmax[i] / Int8.Largest;
            RowDots.Run<I8Elements>(cpu.Workers, new GemmSizes
            {
                Left = x.Floats, LeftStride = inputs, Right = (void*)w.Codes.Pointer, RightStride = inputs, RightByColumn = true,
                C = y.Floats, Rows = rows, Columns = outputs, Depth = inputs, Bias = b, ColumnScale = scale,
            });
        }

        ArrayPool<float>.Shared.Return(rented);
    }

    internal static void BackwardCpu(CpuDevice cpu, TensorView dY, Int8Matrix w, TensorView dX, bool accumulate) =>
        Gemm.NN(cpu.Workers, dY.Floats, new Int8Rows(w), dX.Floats, dY.Shape.Rows, w.Shape[0], accumulate);

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
