using System.Numerics;
using GemmaCore.Cuda;
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

    /// <summary>dQ, dK and dV of the reference.</summary>
    public double[][] ReferenceGradients() => AttentionReference.Backward(
        Sample.Widen(Q), Sample.Widen(K), Sample.Widen(V), Sample.Widen(DY), _heads, _keyHeads, _headSize, Start, End, Scale);

    /// <summary>dQ, dK and dV by complex steps through the reference's forward pass; quadratic in the number of elements.</summary>
    public double[][] ComplexStepGradients()
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

    /// <summary>
    /// Allowed error of y: scores of |q|, |k| &lt; 2 at scale 1/√H, summed over H, then a sum over the keys. On tensor cores q, k, P and v are rounded too;
    /// a few rows that are not recorded take the decoding kernel, which rounds nothing.
    /// </summary>
    public double ForwardBound(Device device, bool isRecorded = false) =>
        Float32Bound + (isRecorded || Rows > AttentionPlan.MostDecodeRows ? Rounding(device, 4) : 0);

    /// <summary>Allowed error of dQ, dK and dV: on tensor cores q and k of P, dY and v of dP, dS itself, and k, q or dY of the last product are rounded.</summary>
    public double BackwardBound(Device device) => Float32Bound + Rounding(device, 6);

    private double Float32Bound => 4 * Tolerance.Float32(_headSize + Rows);

    private double Rounding(Device device, int operands) =>
        device is CudaDevice cuda && AttentionPlan.UsesTensorCores(cuda.Precision, _headSize)
            ? Tolerance.Rounded(cuda.Precision == CudaPrecision.Float16 ? DType.F16 : DType.BF16, operands)
            : 0;

    /// <summary>Compares y with the reference.</summary>
    public void CheckForward(string device)
    {
        using var fixture = new OpFixture(device);
        CheckForward(fixture);
    }

    /// <inheritdoc cref="CheckForward(string)"/>
    public void CheckForward(OpFixture fixture) =>
        Assert.InRange(Tolerance.RelativeError(Forward(fixture).Y, Reference()), 0, ForwardBound(fixture.Device));

    /// <summary>Compares dQ, dK and dV with the reference.</summary>
    public void CheckBackward(string device)
    {
        using var fixture = new OpFixture(device);
        CheckBackward(fixture);
    }

    /// <inheritdoc cref="CheckBackward(string)"/>
    public void CheckBackward(OpFixture fixture)
    {
        float[][] ours = Backward(fixture);
        double[][] expected = ReferenceGradients();
        // A single key leaves dQ and dK exactly zero: the size of dV is the scale of all three.
        double scale = expected[2].Max(Math.Abs);
        for (int i = 0; i < 3; i++)
            Assert.InRange(
                Tolerance.RelativeError([.. ours[i], (float)scale], [.. expected[i], (double)(float)scale]), 0, BackwardBound(fixture.Device));
    }

    private AttentionSequence[] OrWhole(AttentionSequence[] sequences) => sequences.Length > 0 ? sequences : [new AttentionSequence(0, Rows)];
}
