using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// dK and dV over tiles of keys: lanes are keys, query rows run down the scratch. A part goes through all query heads of its key head,
/// so nothing is summed across parts and the order is fixed.
/// </summary>
internal unsafe struct AttentionKeyGradient<TLanes, TVector> : IWork where TLanes : struct, IVectors<TVector> where TVector : struct
{
    private const int KeysPerTile = 64, RowsPerBlock = 64;

    public AttentionOperands Operands;
    public AttentionGradients Gradients;

    public static int Count(in AttentionOperands operands)
    {
        int count = 0;
        foreach (ref readonly AttentionSequence sequence in operands.Sequences.AsSpan()) count += TileCount(sequence) * operands.KeyHeads;
        return count;
    }

    public readonly void Execute(int index)
    {
        int s = 0;
        for (int count; index >= (count = TileCount(Operands.Sequences[s]) * Operands.KeyHeads); s++) index -= count;
        Run(Operands.Sequences[s], index / Operands.KeyHeads * KeysPerTile, index % Operands.KeyHeads);
    }

    private static int TileCount(in AttentionSequence sequence) => (sequence.RowCount + KeysPerTile - 1) / KeysPerTile;

    private readonly void Run(in AttentionSequence sequence, int firstKey, int keyHead)
    {
        int headSize = Operands.HeadSize, lanes = Math.Min(KeysPerTile, sequence.RowCount - firstKey);
        int width = QueryTile.Padded(lanes, TLanes.Count);
        nint size = (nint)width * headSize;
        float* keys = AttentionScratch.ForTile(4 * size + 2 * RowsPerBlock * (long)width);
        var tile = new KeyTile
        {
            FirstSlot = sequence.FirstSlot + firstKey, Lanes = lanes, Width = width, Keys = keys, Values = keys + size,
            DK = keys + 2 * size, DV = keys + 3 * size, Scores = keys + 4 * size, Slopes = keys + 4 * size + RowsPerBlock * width,
        };
        nint offset = (sequence.FirstRow + firstKey) * Operands.KeyStride + (nint)keyHead * headSize;
        LanePacking.PackKeys(Operands.K + offset, Operands.KeyStride, lanes, headSize, Operands.Scale, tile.Keys, width);
        LanePacking.PackKeys(Operands.V + offset, Operands.KeyStride, lanes, headSize, 1, tile.Values, width);
        new Span<float>(tile.DK, 2 * width * headSize).Clear();

        int end = sequence.FirstRow + sequence.RowCount;
        for (int row = sequence.FirstRow; row < end; row += RowsPerBlock)
        {
            int count = Math.Min(RowsPerBlock, end - row);
            KeyRange visible = Operands.Visible(row, row + count);
            if (visible.End <= tile.FirstSlot || visible.Start >= tile.FirstSlot + lanes) continue;
            bool masked = !visible.Covers(tile.FirstSlot, lanes);
            for (int head = keyHead * Operands.Group; head < (keyHead + 1) * Operands.Group; head++) AddBlock(tile, row, count, head, masked);
        }

        for (int lane = 0; lane < lanes; lane++)
        {
            nint at = offset + lane * Operands.KeyStride;
            if (Gradients.DK != null)
                LanePacking.UnpackLane(tile.DK + lane, width, headSize, Operands.Scale, Gradients.DK + at, Gradients.AccumulateDK);
            if (Gradients.DV != null)
                LanePacking.UnpackLane(tile.DV + lane, width, headSize, 1, Gradients.DV + at, Gradients.AccumulateDV);
        }
    }

    // What one head of a block of query rows adds to dK and dV of the tile.
    private readonly void AddBlock(in KeyTile tile, int firstRow, int count, int head, bool masked)
    {
        int headSize = Operands.HeadSize, width = tile.Width;
        nint offset = firstRow * Operands.QueryStride + (nint)head * headSize, stride = Operands.QueryStride;
        float* q = Operands.Q + offset, dY = Gradients.DY + offset;
        PanelProduct<TLanes, TVector>.Run(q, stride, 1, tile.Keys, tile.Scores, count, headSize, width, accumulate: false);
        if (Gradients.DK != null)
            PanelProduct<TLanes, TVector>.Run(dY, stride, 1, tile.Values, tile.Slopes, count, headSize, width, accumulate: false);
        for (int i = 0; i < count; i++)
        {
            nint at = (nint)(firstRow + i) * Operands.Heads + head;
            float* scores = tile.Scores + i * width;
            Probabilities(scores, Gradients.FiniteLse(at), width);
            if (masked) Hide(tile, firstRow + i, scores);
            if (Gradients.DK != null) Slope(scores, tile.Slopes + i * width, Gradients.RowSums[at], width);
        }

        if (Gradients.DV != null)
            PanelProduct<TLanes, TVector>.Run(dY, 1, stride, tile.Scores, tile.DV, headSize, count, width, accumulate: true);
        if (Gradients.DK != null)
            PanelProduct<TLanes, TVector>.Run(q, 1, stride, tile.Slopes, tile.DK, headSize, count, width, accumulate: true);
    }

    private readonly void Hide(in KeyTile tile, int row, float* probabilities)
    {
        int start = Math.Clamp(Operands.Starts[row] - tile.FirstSlot, 0, tile.Lanes);
        int end = Math.Clamp(Operands.Ends[row] - tile.FirstSlot, start, tile.Lanes);
        new Span<float>(probabilities, start).Clear();
        new Span<float>(probabilities + end, tile.Lanes - end).Clear();
    }

    private static void Probabilities(float* scores, float lse, int width)
    {
        TVector shift = TLanes.All(lse);
        for (int lane = 0; lane < width; lane += TLanes.Count)
            TLanes.Store(VectorExp<TLanes, TVector>.Of(TLanes.Subtract(TLanes.Load(scores + lane), shift)), scores + lane);
    }

    // slope becomes P·(dP − D) for one query row; hidden keys have P = 0.
    private static void Slope(float* probabilities, float* slope, float rowSum, int width)
    {
        TVector shift = TLanes.All(rowSum);
        for (int lane = 0; lane < width; lane += TLanes.Count)
        {
            TVector difference = TLanes.Subtract(TLanes.Load(slope + lane), shift);
            TLanes.Store(TLanes.Multiply(TLanes.Load(probabilities + lane), difference), slope + lane);
        }
    }

    private struct KeyTile
    {
        /// <summary>[H, Width] packed scratch.</summary>
        public float* Keys, Values, DK, DV;

        /// <summary>[RowsPerBlock, Width].</summary>
        public float* Scores, Slopes;

        public int FirstSlot, Lanes, Width;
    }
}
