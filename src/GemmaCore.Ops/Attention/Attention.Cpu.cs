using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class Attention
{
    private static void ForwardCpu(CpuDevice cpu, in AttentionInputs inputs, TensorView y, TensorView lse)
    {
        RequireIntervals(inputs);
        var operands = new AttentionOperands(inputs);
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

    private static void RequireIntervals(in AttentionInputs inputs)
    {
        ReadOnlySpan<int> starts = inputs.KeyStart.AsSpan<int>(), ends = inputs.KeyEnd.AsSpan<int>();
        foreach (ref readonly AttentionSequence sequence in inputs.Sequences.AsSpan())
        {
            // Without a past, slots before the first current one do not exist, whatever PastStart says.
            int last = sequence.FirstSlot + sequence.RowCount;
            for (int row = sequence.FirstRow; row < sequence.FirstRow + sequence.RowCount; row++)
            {
                bool empty = starts[row] >= ends[row];
                Require.That(
                    empty || (starts[row] >= sequence.PastStart && ends[row] <= last), "Attention.Forward",
                    $"row {row} may see slots [{sequence.PastStart}, {last}), its interval is [{starts[row]}, {ends[row]})");
            }
        }
    }

    private static void BackwardCpu(CpuDevice cpu, in AttentionInputs inputs, in AttentionOutputs outputs, Arena arena)
    {
        Arena.Mark mark = arena.Position;
        var operands = new AttentionOperands(inputs);
        var gradients = new AttentionGradients
        {
            DY = outputs.DY.Floats, Y = outputs.Y.Floats, Lse = outputs.Lse.Floats, RowSums = arena.Take(outputs.Lse.Shape).Floats,
            DQ = Floats(outputs.DQ), DK = Floats(outputs.DK), DV = Floats(outputs.DV),
            AccumulateDQ = outputs.DQ.Accumulate, AccumulateDK = outputs.DK.Accumulate, AccumulateDV = outputs.DV.Accumulate,
        };
        var sums = new AttentionRowSums { Operands = operands, Gradients = gradients, Rows = inputs.Rows };
        cpu.Workers.Run(ref sums, RowBlocks.Count(inputs.Rows, operands.Heads * operands.HeadSize));
        if (Avx512F.IsSupported) BackwardTiles<Vectors512, Vector512<float>>(cpu, operands, gradients);
        else if (Vector256.IsHardwareAccelerated) BackwardTiles<Vectors256, Vector256<float>>(cpu, operands, gradients);
        else BackwardTiles<Vectors128, Vector128<float>>(cpu, operands, gradients);
        arena.Rewind(mark);
    }

    private static float* Floats(AttentionGradient gradient) => gradient.IsWanted ? gradient.View.Floats : null;

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
