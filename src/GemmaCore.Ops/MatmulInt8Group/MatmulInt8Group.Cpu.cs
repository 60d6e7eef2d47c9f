using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class MatmulInt8Group
{
    internal static void ForwardCpu(CpuDevice cpu, TensorView x, Int8GroupMatrix w, TensorView bias, TensorView y)
    {
        int rows = x.Shape.Rows, outputs = w.Shape[0];
        float* b = bias.IsEmpty ? null : bias.Floats;
        if (RowDots.Suits(rows)) Int8Dots.Run(cpu.Workers, (byte*)w.Codes.Pointer, new GroupScales(w), x.Floats, rows, b, y.Floats, outputs, w.Shape[1]);
        else Gemm.NT(cpu.Workers, x.Floats, new GroupRows(w), y.Floats, rows, outputs, b);
    }

    internal static void BackwardCpu(CpuDevice cpu, TensorView dY, Int8GroupMatrix w, TensorView dX, bool accumulate) =>
        Gemm.NN(cpu.Workers, dY.Floats, new GroupRows(w), dX.Floats, dY.Shape.Rows, w.Shape[0], accumulate);

    private readonly struct GroupScales(Int8GroupMatrix w) : IInt8Scales
    {
        private readonly byte* _scales = (byte*)w.Scales.Pointer;
        private readonly int _groups = w.Scales.Shape[1];

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public float Of(int row, int group) => F16Elements.Load(_scales + ((long)row * _groups + group) * sizeof(ushort));
    }

    private readonly struct GroupRows(Int8GroupMatrix w) : IWeightRows
    {
        private readonly byte* _codes = (byte*)w.Codes.Pointer, _scales = (byte*)w.Scales.Pointer;
        private readonly int _groups = w.Scales.Shape[1];

        public int Columns { get; } = w.Shape[1];

        public void Read(int row, int first, int count, float* target)
        {
            byte* codes = _codes + (long)row * Columns, scales = _scales + (long)row * _groups * sizeof(ushort);
            for (int at = first, end = first + count; at < end;)
            {
                int group = at / Int8Group.Size, stop = Math.Min(end, (group + 1) * Int8Group.Size);
                float scale = F16Elements.Load(scales + group * sizeof(ushort));
                if (Vector256.IsHardwareAccelerated)
                    for (; at <= stop - 8; at += 8, target += 8) (I8Elements.Load8(codes + at) * scale).Store(target);
                for (; at < stop; at++) *target++ = (sbyte)codes[at] * scale;
            }
        }
    }
}
