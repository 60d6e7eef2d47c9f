using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class LinearCrossEntropyTests
{
    // Rows, columns, vocabulary: one, primes, one past a vector, one past a chunk of rows, one past a block of the sum.
    public static TheoryData<int, int, int> Shapes => new() { { 1, 1, 1 }, { 3, 7, 5 }, { 5, 17, 33 }, { 129, 8, 19 }, { 2, 9, 4097 } };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_loss_matches_the_reference(int rows, int columns, int vocabulary)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(1);
        float[] hidden = sample.Floats(rows * columns, -3, 3), head = sample.Floats(vocabulary * columns);
        int[] all = [.. Enumerable.Range(0, rows)], targets = Array.ConvertAll(all, _ => sample.Below(vocabulary));

        double loss = LinearCrossEntropy.Forward(
            fixture.Of(new Shape(rows, columns), hidden), fixture.Of(new Shape(vocabulary, columns), head), all, targets, 1, fixture.Arena, null);

        double expected = LinearCrossEntropyReference.Forward<double, RealFunctions>(Sample.Widen(hidden), Sample.Widen(head), columns, all, targets)[0];
        Assert.InRange(Math.Abs(loss - expected), 0, Tolerance.Float32(columns) * Math.Max(1, Math.Abs(expected)));
    }

    [Theory]
    [InlineData(2, 1, 2)]
    [InlineData(4, 7, 5)]
    [InlineData(3, 17, 33)]
    [InlineData(140, 2, 5)]
    public void Backward_matches_the_complex_step_and_leaves_other_rows_at_zero(int rows, int columns, int vocabulary)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(2);
        float[] values = sample.Floats(rows * columns, -3, 3), head = sample.Floats(vocabulary * columns);
        int[] supervised = [.. Enumerable.Range(1, rows - 1)], targets = Array.ConvertAll(supervised, _ => sample.Below(vocabulary));
        TensorView hidden = fixture.Of(new Shape(rows, columns), values);
        fixture.Want(hidden);

        LinearCrossEntropy.Forward(hidden, fixture.Of(new Shape(vocabulary, columns), head), supervised, targets, 0.25, fixture.Arena, fixture.Tape);
        float[] dHidden = Replay(fixture, hidden);

        double[] expected = ComplexStep.Gradient(Sample.Widen(values), [0.25], p =>
            LinearCrossEntropyReference.Forward<Complex, ComplexFunctions>(p, Sample.Widen(head), columns, supervised, targets));
        Assert.InRange(Tolerance.RelativeError(dHidden, expected), 0, Tolerance.Float32(columns + vocabulary));
        Assert.All(dHidden[..columns], value => Assert.Equal(0, value));
    }

    [Fact]
    public void A_bf16_head_gives_what_its_widened_values_give()
    {
        using var fixture = new OpFixture();
        var sample = new Sample(3);
        TensorView hidden = fixture.Of(new Shape(9, 24), sample.Floats(9 * 24));
        using var narrow = new DeviceBuffer(fixture.Device, new Shape(50, 24), DType.BF16);
        foreach (ref ushort value in narrow.View.AsSpan<ushort>()) value = (ushort)(BitConverter.SingleToUInt32Bits(sample.Uniform()) >> 16);
        TensorView wide = fixture.Of(new Shape(50, 24), narrow.View.ToFloats());
        int[] rows = [1, 4, 8], targets = [0, 49, 7];

        double loss = LinearCrossEntropy.Forward(hidden, narrow.View, rows, targets, 1, fixture.Arena, null);
        Assert.Equal(LinearCrossEntropy.Forward(hidden, wide, rows, targets, 1, fixture.Arena, null), loss);
    }

    [Fact]
    public void Backward_adds_to_a_gradient_that_is_already_there()
    {
        using OpFixture fixture = new(), single = new();
        var sample = new Sample(4);
        float[] values = sample.Floats(5 * 6), head = sample.Floats(11 * 6);
        float[] Run(OpFixture f, int times)
        {
            TensorView hidden = f.Of(new Shape(5, 6), values), weights = f.Of(new Shape(11, 6), head);
            f.Want(hidden);
            for (int i = 0; i < times; i++) LinearCrossEntropy.Forward(hidden, weights, [0, 3], [1, 2], 1, f.Arena, f.Tape);
            return Replay(f, hidden);
        }

        Assert.Equal(Array.ConvertAll(Run(single, 1), v => v + v), Run(fixture, 2));
    }

    [Fact]
    public void Scratch_returns_to_the_arena()
    {
        using var fixture = new OpFixture();
        TensorView hidden = fixture.Of(new Shape(2, 4), new float[8]), head = fixture.Of(new Shape(7, 4), new float[28]);
        Arena.Mark before = fixture.Arena.Position;
        Assert.Equal(2 * Math.Log(7), LinearCrossEntropy.Forward(hidden, head, [0, 1], [3, 6], 1, fixture.Arena, null), 1e-12);
        Assert.Equal(before, fixture.Arena.Position);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        var sample = new Sample(5);
        float[] values = sample.Floats(150 * 32), head = sample.Floats(300 * 32);
        int[] rows = [.. Enumerable.Range(0, 150)];
        (double, float[]) Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            TensorView hidden = fixture.Of(new Shape(150, 32), values);
            fixture.Want(hidden);
            double loss = LinearCrossEntropy.Forward(hidden, fixture.Of(new Shape(300, 32), head), rows, rows, 0.01, fixture.Arena, fixture.Tape);
            return (loss, Replay(fixture, hidden));
        }

        (double loss, float[] dHidden) = Run(1);
        (double otherLoss, float[] otherDHidden) = Run(3);
        Assert.Equal(loss, otherLoss);
        Assert.Equal(dHidden, otherDHidden);
    }

    [Theory]
    [InlineData(3, 0, 8, "row 3 is not within f32[3, 8]@cpu")]
    [InlineData(0, 5, 8, "target 5 of row 0 is not within the 5 tokens of the head")]
    [InlineData(0, 0, 7, "head must be [V, 8] in f32, bf16 or f16, got f32[5, 7]@cpu")]
    public void What_does_not_fit_is_refused(int row, int target, int headColumns, string message)
    {
        using var fixture = new OpFixture();
        TensorView hidden = fixture.Empty(new Shape(3, 8)), head = fixture.Empty(new Shape(5, headColumns));
        var error = Assert.Throws<ShapeException>(() => LinearCrossEntropy.Forward(hidden, head, [row], [target], 1, fixture.Arena, null));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    // The operation seeds the tape itself; a bystander output satisfies the fixture, which seeds what it is given.
    private static float[] Replay(OpFixture fixture, TensorView hidden)
    {
        TensorView bystander = fixture.Empty(new Shape(1));
        return fixture.Backward(bystander, [0], hidden)[0];
    }
}
