using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

/// <summary>One sequence's queries, keys, values and intervals, with runs of the operation and of the reference.</summary>
internal sealed class AttentionCase
{
    private readonly int _heads, _keyHeads, _headSize;

    public AttentionCase(ulong seed, int heads, int keyHeads, int headSize, int[] start, int[] end)
    {
        (_heads, _keyHeads, _headSize, Start, End) = (heads, keyHeads, headSize, start, end);
        var sample = new Sample(seed);
        Q = sample.Floats(Rows * heads * headSize, -2, 2);
        K = sample.Floats(Rows * keyHeads * headSize, -2, 2);
        V = sample.Floats(Rows * keyHeads * headSize);
        DY = sample.Floats(Q.Length);
        Scale = 1 / MathF.Sqrt(headSize);
    }

    public int Rows => Start.Length;

    public int[] Start { get; }

    public int[] End { get; }

    public float[] Q { get; }

    public float[] K { get; }

    public float[] V { get; }

    public float[] DY { get; }

    public float Scale { get; }

    public Shape QueryShape => new(Rows, _heads, _headSize);

    public Shape KeyShape => new(Rows, _keyHeads, _headSize);

    public static AttentionCase Causal(ulong seed, int rows, int heads, int keyHeads, int headSize, int window = int.MaxValue)
    {
        int[] slots = [.. Enumerable.Range(0, rows)];
        return new(seed, heads, keyHeads, headSize, Array.ConvertAll(slots, i => Math.Max(0, i - (window - 1))), Array.ConvertAll(slots, i => i + 1));
    }

    public static AttentionCase Whole(ulong seed, int rows, int heads, int keyHeads, int headSize) =>
        new(seed, heads, keyHeads, headSize, new int[rows], [.. Enumerable.Repeat(rows, rows)]);

    /// <summary>The operation's y and lse; <paramref name="sequences"/> defaults to one sequence without a past.</summary>
    public (float[] Y, float[] Lse) Forward(OpFixture fixture, params AttentionSequence[] sequences)
    {
        TensorView y = fixture.Empty(QueryShape), lse = fixture.Empty(new Shape(Rows, _heads));
        Attention.Forward(
            fixture.Of(QueryShape, Q), fixture.Of(KeyShape, K), fixture.Of(KeyShape, V), OrWhole(sequences), fixture.Ints(Start), fixture.Ints(End),
            Scale, y, lse, null);
        return (y.ToFloats(), lse.ToFloats());
    }

    /// <summary>dQ, dK and dV of the operation.</summary>
    public float[][] Backward(OpFixture fixture, params AttentionSequence[] sequences)
    {
        TensorView q = fixture.Of(QueryShape, Q), k = fixture.Of(KeyShape, K), v = fixture.Of(KeyShape, V);
        TensorView y = fixture.Empty(QueryShape), lse = fixture.Empty(new Shape(Rows, _heads));
        fixture.Want(q);
        fixture.Want(k);
        fixture.Want(v);
        Attention.Forward(q, k, v, OrWhole(sequences), fixture.Ints(Start), fixture.Ints(End), Scale, y, lse, fixture.Tape);
        return fixture.Backward(y, DY, q, k, v);
    }

    public double[] Reference() => AttentionReference.Forward<double, RealFunctions>(
        Sample.Widen(Q), Sample.Widen(K), Sample.Widen(V), _heads, _keyHeads, _headSize, Start, End, Scale);

    /// <summary>dQ, dK and dV by complex steps through the reference.</summary>
    public double[][] ReferenceGradients()
    {
        Complex[] q = Array.ConvertAll(Q, x => new Complex(x, 0)), k = Array.ConvertAll(K, x => new Complex(x, 0)), v = Array.ConvertAll(V, x => new Complex(x, 0));
        Complex[] Run(Complex[] q, Complex[] k, Complex[] v) =>
            AttentionReference.Forward<Complex, ComplexFunctions>(q, k, v, _heads, _keyHeads, _headSize, Start, End, Scale);
        double[] dY = Sample.Widen(DY);
        return
        [
            ComplexStep.Gradient(Sample.Widen(Q), dY, p => Run(p, k, v)),
            ComplexStep.Gradient(Sample.Widen(K), dY, p => Run(q, p, v)),
            ComplexStep.Gradient(Sample.Widen(V), dY, p => Run(q, k, p)),
        ];
    }

    private AttentionSequence[] OrWhole(AttentionSequence[] sequences) => sequences.Length > 0 ? sequences : [new AttentionSequence(0, Rows)];
}
