using System.Runtime.CompilerServices;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Forward pass over query tiles with a running softmax (arXiv:1805.02867, arXiv:2205.14135). Lanes are query rows and keys run down the
/// scratch: scores, probabilities and output are kept transposed, so maxima and sums need no reduction across lanes.
/// </summary>
internal unsafe struct AttentionTiles<TLanes, TVector> : IWork where TLanes : struct, IVectors<TVector> where TVector : struct
{
    // Scores of a block: 96 keys × 64 lanes are 24 KiB, which stay in the first-level cache between the two products.
    private const int KeysPerBlock = 96;

    public AttentionOperands Operands;

    /// <summary>[T, N, H].</summary>
    public float* Y;

    /// <summary>[T, N], or null.</summary>
    public float* Lse;

    public static int Count(in AttentionOperands operands)
    {
        int count = 0;
        foreach (ref readonly AttentionSequence sequence in operands.Sequences.AsSpan())
            if (!AttentionRows.Suits(sequence, operands.Group)) count += QueryTile.Count(operands, sequence);
        return count;
    }

    public readonly void Execute(int index)
    {
        AttentionSequence[] sequences = Operands.Sequences;
        for (int s = 0; ; s++)
        {
            if (AttentionRows.Suits(sequences[s], Operands.Group)) continue;
            int count = QueryTile.Count(Operands, sequences[s]);
            if (index < count)
            {
                Run(QueryTile.Of(Operands, s, index));
                return;
            }

            index -= count;
        }
    }

    private readonly void Run(in QueryTile tile)
    {
        int width = QueryTile.Padded(tile.Lanes, TLanes.Count), headSize = Operands.HeadSize;
        float* queries = AttentionScratch.ForTile((long)width * (2 * headSize + KeysPerBlock + 3) + (long)KeysPerBlock * headSize);
        float* output = queries + (nint)width * headSize, scores = output + (nint)width * headSize, copies = scores + width * (KeysPerBlock + 3);
        var softmax = new RunningSoftmax<TLanes, TVector>(scores + width * KeysPerBlock, width);
        LanePacking.PackQueries(Operands, tile, Operands.Q, Operands.Scale, queries, width);
        softmax.Clear();
        new Span<float>(output, width * headSize).Clear();

        ref readonly AttentionSequence sequence = ref Operands.Sequences[tile.Sequence];
        KeyRange visible = Operands.Visible(tile.FirstRow, tile.FirstRow + tile.TokenCount);
        int count;
        for (int slot = visible.Start; slot < visible.End; slot += count)
        {
            count = Math.Min(Math.Min(Operands.RunOf(sequence, slot), KeysPerBlock), visible.End - slot);
            float* keys = Operands.Rows(sequence, slot, count, new RowPart(tile.KeyHead * headSize, headSize, IsValue: false), copies, out nint stride);
            PanelProduct<TLanes, TVector>.Run(keys, stride, 1, queries, scores, count, headSize, width, accumulate: false);
            if (!visible.Covers(slot, count)) Mask(Operands, tile, slot, count, float.NegativeInfinity, scores, width);
            softmax.Take(scores, count, output, headSize);
            float* values = Operands.Rows(sequence, slot, count, new RowPart(tile.KeyHead * headSize, headSize, IsValue: true), copies, out stride);
            PanelProduct<TLanes, TVector>.Run(values, 1, stride, scores, output, headSize, count, width, accumulate: true);
        }

        Write(tile, output, softmax, width);
    }

    /// <summary>Overwrites the scores of keys outside each lane's interval.</summary>
    public static void Mask(in AttentionOperands operands, in QueryTile tile, int slot, int count, float hidden, float* scores, int width)
    {
        for (int lane = 0; lane < tile.Lanes; lane++)
        {
            int row = tile.FirstRow + lane / tile.Group;
            int start = Math.Clamp(operands.Starts[row] - slot, 0, count), end = Math.Clamp(operands.Ends[row] - slot, start, count);
            for (int key = 0; key < start; key++) scores[key * width + lane] = hidden;
            for (int key = end; key < count; key++) scores[key * width + lane] = hidden;
        }
    }

    private readonly void Write(in QueryTile tile, float* output, in RunningSoftmax<TLanes, TVector> softmax, int width)
    {
        for (int lane = 0; lane < tile.Lanes; lane++)
        {
            // A row that sees nothing has the sum 0 and the output 0.
            float sum = softmax.Sums[lane], inverse = sum == 0 ? 0 : 1 / sum;
            LanePacking.UnpackLane(output + lane, width, Operands.HeadSize, inverse, LanePacking.Row(Operands, tile, Y, lane), accumulate: false);
            if (Lse != null) Lse[LanePacking.Index(Operands, tile, lane)] = softmax.Maxima[lane] + MathF.Log(sum);
        }
    }
}

/// <summary>Per lane: the largest score so far, the sum of exp(score − largest), and the factor that brings older results up to date.</summary>
internal readonly unsafe struct RunningSoftmax<TLanes, TVector> where TLanes : struct, IVectors<TVector> where TVector : struct
{
    private readonly float* _factors;
    private readonly int _width;

    /// <summary>Keeps its state in three rows of <paramref name="width"/> floats.</summary>
    public RunningSoftmax(float* memory, int width)
    {
        Maxima = memory;
        Sums = memory + width;
        _factors = memory + 2 * width;
        _width = width;
    }

    public float* Maxima { get; }

    public float* Sums { get; }

    public void Clear()
    {
        new Span<float>(Maxima, _width).Fill(float.NegativeInfinity);
        new Span<float>(Sums, _width).Clear();
    }

    /// <summary>Turns scores[count, width] into unnormalised probabilities and rescales output[headSize, width] to the new maxima.</summary>
    public void Take(float* scores, int count, float* output, int headSize)
    {
        bool grown = false;
        for (int lane = 0; lane < _width; lane += TLanes.Count)
        {
            TVector old = TLanes.Load(Maxima + lane), largest = old;
            for (int key = 0; key < count; key++) largest = TLanes.Max(largest, TLanes.Load(scores + key * _width + lane));
            // While everything is hidden the maximum is −∞; zero takes its place, since −∞ − (−∞) would be NaN.
            TVector shift = FiniteOrZero(largest);
            TVector sum = TLanes.All(0);
            for (int key = 0; key < count; key++)
            {
                float* score = scores + key * _width + lane;
                TVector p = VectorExp<TLanes, TVector>.Of(TLanes.Subtract(TLanes.Load(score), shift));
                sum = TLanes.Add(sum, p);
                TLanes.Store(p, score);
            }

            TVector factor = VectorExp<TLanes, TVector>.Of(TLanes.Subtract(old, shift));
            TLanes.Store(factor, _factors + lane);
            TLanes.Store(largest, Maxima + lane);
            TLanes.Store(TLanes.MultiplyAdd(TLanes.Load(Sums + lane), factor, sum), Sums + lane);
        }

        for (int lane = 0; lane < _width; lane++) grown |= _factors[lane] != 1;
        if (grown) Rescale(output, headSize);
    }

    private void Rescale(float* output, int headSize)
    {
        for (int h = 0; h < headSize; h++)
        {
            for (int lane = 0; lane < _width; lane += TLanes.Count)
            {
                float* o = output + (nint)h * _width + lane;
                TLanes.Store(TLanes.Multiply(TLanes.Load(o), TLanes.Load(_factors + lane)), o);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector FiniteOrZero(TVector value) => TLanes.ZeroWhereBelow(value, TLanes.All(float.MinValue), value);
}
