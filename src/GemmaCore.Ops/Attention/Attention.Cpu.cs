using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class Attention
{
    private static void ForwardCpu(CpuDevice cpu, in AttentionOperands operands, TensorView y, TensorView lse)
    {
        float* sums = lse.IsEmpty ? null : lse.Floats;
        if (Avx512F.IsSupported) ForwardTiles<Vectors512, Vector512<float>>(cpu, operands, y.Floats, sums);
        else if (Vector256.IsHardwareAccelerated) ForwardTiles<Vectors256, Vector256<float>>(cpu, operands, y.Floats, sums);
        else ForwardTiles<Vectors128, Vector128<float>>(cpu, operands, y.Floats, sums);

        int parts = AttentionRows.Count(operands);
        if (parts == 0) return;
        float* partials = AttentionScratch.ForPartials((long)parts * AttentionRows.PartialStride(operands));
        var rows = new AttentionRows { Operands = operands, Partials = partials };
        cpu.Workers.Run(ref rows, parts);
        var merge = new AttentionMerge { Operands = operands, Partials = partials, Y = y.Floats, Lse = sums };
        cpu.Workers.Run(ref merge, operands.Sequences.Length);
    }

    private static void ForwardTiles<TLanes, TVector>(CpuDevice cpu, in AttentionOperands operands, float* y, float* lse)
        where TLanes : struct, IVectors<TVector> where TVector : struct
    {
        var tiles = new AttentionTiles<TLanes, TVector> { Operands = operands, Y = y, Lse = lse };
        cpu.Workers.Run(ref tiles, AttentionTiles<TLanes, TVector>.Count(operands));
    }

    private static void BackwardCpu(CpuDevice cpu, in AttentionOperands operands, in AttentionGradients gradients, int rowCount)
    {
        var sums = new AttentionRowSums { Operands = operands, Gradients = gradients, Rows = rowCount };
        cpu.Workers.Run(ref sums, RowBlocks.Count(rowCount, operands.Heads * operands.HeadSize));
        if (Avx512F.IsSupported) BackwardTiles<Vectors512, Vector512<float>>(cpu, operands, gradients);
        else if (Vector256.IsHardwareAccelerated) BackwardTiles<Vectors256, Vector256<float>>(cpu, operands, gradients);
        else BackwardTiles<Vectors128, Vector128<float>>(cpu, operands, gradients);
    }

    private static void BackwardTiles<TLanes, TVector>(CpuDevice cpu, in AttentionOperands operands, in AttentionGradients gradients)
        where TLanes : struct, IVectors<TVector> where TVector : struct
    {
        if (gradients.DQ != null)
        {
            var queries = new AttentionQueryGradient<TLanes, TVector> { Operands = operands, Gradients = gradients };
            cpu.Workers.Run(ref queries, AttentionQueryGradient<TLanes, TVector>.Count(operands));
        }

        if (gradients.DK != null || gradients.DV != null)
        {
            var keys = new AttentionKeyGradient<TLanes, TVector> { Operands = operands, Gradients = gradients };
            cpu.Workers.Run(ref keys, AttentionKeyGradient<TLanes, TVector>.Count(operands));
        }
    }
}
