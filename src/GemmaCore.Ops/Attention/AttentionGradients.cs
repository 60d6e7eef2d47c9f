using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>What the backward passes read and write beside the operands; a null gradient is not wanted.</summary>
internal unsafe struct AttentionGradients
{
    /// <summary>[T, N, H].</summary>
    public float* DY, Y, DQ;

    /// <summary>[T, K, H].</summary>
    public float* DK, DV;

    /// <summary>[T, N]; RowSums is Σ dY⊙y.</summary>
    public float* Lse, RowSums;

    public bool AccumulateDQ, AccumulateDK, AccumulateDV;

    /// <summary>The saved logarithm; 0 for a row that sees nothing, so that no −∞ − (−∞) arises.</summary>
    public readonly float FiniteLse(nint index) => float.IsNegativeInfinity(Lse[index]) ? 0 : Lse[index];
}

/// <summary>Σ dY⊙y of every row and head.</summary>
internal unsafe struct AttentionRowSums : IWork
{
    public AttentionOperands Operands;
    public AttentionGradients Gradients;
    public int Rows;

    public readonly void Execute(int index)
    {
        (int first, int end) = RowBlocks.Range(index, Rows, Operands.Heads * Operands.HeadSize);
        for (nint i = (nint)first * Operands.Heads; i < (nint)end * Operands.Heads; i++)
        {
            nint offset = i * Operands.HeadSize;
            Gradients.RowSums[i] = Lanes.Dot(Gradients.DY + offset, Gradients.Y + offset, Operands.HeadSize);
        }
    }
}
