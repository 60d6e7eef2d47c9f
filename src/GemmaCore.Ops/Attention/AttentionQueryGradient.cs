using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>dQ over the query tiles of the forward pass: lanes are query rows, keys run down the scratch.</summary>
internal unsafe struct AttentionQueryGradient<TLanes, TVector> : IWork where TLanes : struct, IVectors<TVector> where TVector : struct
{
    private const int KeysPerBlock = 96;

    public AttentionOperands Operands;
    public AttentionGradients Gradients;

    public static int Count(in AttentionOperands operands)
    {
        int count = 0;
        foreach (ref readonly AttentionSequence sequence in operands.Sequences.AsSpan()) count += QueryTile.Count(operands, sequence);
        return count;
    }

    public readonly void Execute(int index)
    {
        int s = 0;
        for (int count; index >= (count = QueryTile.Count(Operands, Operands.Sequences[s])); s++) index -= count;
        Run(QueryTile.Of(Operands, s, index));
    }

    private readonly void Run(in QueryTile tile)
    {
        int headSize = Operands.HeadSize, width = QueryTile.Padded(tile.Lanes, TLanes.Count);
        nint size = (nint)width * headSize;
        float* queries = AttentionScratch.ForTile(3 * size + (2 * KeysPerBlock + 2) * (long)width);
        float* dY = queries + size, dQ = dY + size, scores = dQ + size, slopes = scores + KeysPerBlock * width;
        float* lse = slopes + KeysPerBlock * width, rowSums = lse + width;
        LanePacking.PackQueries(Operands, tile, Operands.Q, Operands.Scale, queries, width);
        LanePacking.PackQueries(Operands, tile, Gradients.DY, 1, dY, width);
        new Span<float>(dQ, width * headSize).Clear();
        new Span<float>(lse, 2 * width).Clear();
        for (int lane = 0; lane < tile.Lanes; lane++)
        {
            nint at = LanePacking.Index(Operands, tile, lane);
            (lse[lane], rowSums[lane]) = (Gradients.FiniteLse(at), Gradients.RowSums[at]);
        }

        ref readonly AttentionSequence sequence = ref Operands.Sequences[tile.Sequence];
        KeyRange visible = Operands.Visible(tile.FirstRow, tile.FirstRow + tile.TokenCount);
        int count;
        for (int slot = visible.Start; slot < visible.End; slot += count)
        {
            Operands.Locate(sequence, slot, tile.KeyHead, out float* key, out float* value);
            count = Math.Min(KeysPerBlock, visible.End - slot);
            PanelProduct<TLanes, TVector>.Run(key, Operands.KeyStride, 1, queries, scores, count, headSize, width, accumulate: false);
            if (!visible.Covers(slot, count))
                AttentionTiles<TLanes, TVector>.Mask(Operands, tile, slot, count, float.NegativeInfinity, scores, width);
            PanelProduct<TLanes, TVector>.Run(value, Operands.KeyStride, 1, dY, slopes, count, headSize, width, accumulate: false);
            for (int i = 0; i < count * width; i += width) Slope(scores + i, slopes + i, lse, rowSums, width);
            PanelProduct<TLanes, TVector>.Run(key, 1, Operands.KeyStride, slopes, dQ, headSize, count, width, accumulate: true);
        }

        for (int lane = 0; lane < tile.Lanes; lane++)
        {
            float* row = LanePacking.Row(Operands, tile, Gradients.DQ, lane);
            LanePacking.UnpackLane(dQ + lane, width, headSize, Operands.Scale, row, Gradients.AccumulateDQ);
        }
    }

    // slope becomes P·(dP − D) for one key; the factor scale waits for the end.
    private static void Slope(float* score, float* slope, float* lse, float* rowSums, int width)
    {
        for (int lane = 0; lane < width; lane += TLanes.Count)
        {
            TVector p = VectorExp<TLanes, TVector>.Of(TLanes.Subtract(TLanes.Load(score + lane), TLanes.Load(lse + lane)));
            TVector difference = TLanes.Subtract(TLanes.Load(slope + lane), TLanes.Load(rowSums + lane));
            TLanes.Store(TLanes.Multiply(p, difference), slope + lane);
        }
    }
}
