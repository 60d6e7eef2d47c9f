using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

public sealed class TapeTests
{
    private const int Rows = 9, Columns = 37, Rank = 3;

    [Theory]
    [InlineData(0)]
    [InlineData(0.3f)]
    public void Recompute_gives_the_same_gradients_as_keeping_everything(float dropout)
    {
        float[][] kept = Run(dropout, recompute: false), recomputed = Run(dropout, recompute: true);

        Assert.Equal(kept.Length, recomputed.Length);
        for (int i = 0; i < kept.Length; i++) Assert.Equal(kept[i], recomputed[i]);
        Assert.All(kept, values => Assert.Contains(values, value => value != 0));
    }

    [Fact]
    public void Handing_over_moves_the_memory_once()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(5)), y = fixture.Empty(new Shape(5));
        TensorView dY = fixture.Tape.GradientFor(y, out bool there);
        dY.CopyFrom([1, 2, 3, 4, 5]);

        Assert.False(there);
        Assert.True(fixture.Tape.TryHandOver(y, x));

        Assert.Equal(dY.Pointer, fixture.Tape.GradientOf(x).Pointer);
        Assert.Throws<InvalidOperationException>(() => fixture.Tape.GradientOf(y));
        Assert.False(fixture.Tape.TryHandOver(y, x));
    }

    [Fact]
    public void A_gradient_that_is_there_is_not_handed_over_but_added_to()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(5)), y = fixture.Empty(new Shape(5));
        fixture.Tape.GradientFor(y, out _);
        TensorView first = fixture.Tape.GradientFor(x, out bool accumulateFirst), second = fixture.Tape.GradientFor(x, out bool accumulateSecond);

        Assert.False(accumulateFirst);
        Assert.True(accumulateSecond);
        Assert.Equal(first.Pointer, second.Pointer);
        Assert.False(fixture.Tape.TryHandOver(y, x));
    }

    [Fact]
    public void An_output_that_nothing_used_is_not_replayed()
    {
        using var fixture = new OpFixture();
        TensorView used = fixture.Empty(new Shape(2)), unused = fixture.Empty(new Shape(2));
        var replayed = new List<string>();
        fixture.Tape.Record("used", used, () => replayed.Add("used"));
        fixture.Tape.Record("unused", unused, () => replayed.Add("unused"));

        fixture.Tape.GradientFor(used, out _);
        fixture.Tape.Backward();

        Assert.Equal(["used"], replayed);
        Assert.False(fixture.Tape.Tracks(used));
    }

    // x -> RMS norm -> adapter -> residual sum: saved activations, dropout, hand-over and accumulation in one block.
    private static float[][] Run(float dropout, bool recompute)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(1);
        var shape = new Shape(Rows, Columns);
        TensorView x = fixture.Of(shape, sample.Floats(Rows * Columns)), y = fixture.Empty(shape);
        TensorView gain = fixture.Of(new Shape(Columns), sample.Floats(Columns)), w = fixture.Of(new Shape(Columns, Columns), sample.Floats(Columns * Columns));
        TensorView dA = fixture.Of(new Shape(Rank, Columns), new float[Rank * Columns]), dB = fixture.Of(new Shape(Columns, Rank), new float[Rank * Columns]);
        var lora = new LoraWeights
        {
            A = fixture.Of(dA.Shape, sample.Floats(Rank * Columns)), B = fixture.Of(dB.Shape, sample.Floats(Rank * Columns)),
            GradientA = dA, GradientB = dB, Scale = 0.5f, Dropout = dropout,
        };
        float[] dY = sample.Floats(Rows * Columns);
        void Block(Tape tape)
        {
            TensorView normal = tape.Arena.Take(shape), product = tape.Arena.Take(shape);
            RmsNorm.Forward(x, gain, 1e-6f, 1, normal, tape);
            Matmul.Forward(normal, w, default, product, tape);
            Lora.Forward(normal, lora, product, tape.Arena, tape);
            Add.Forward(x, product, y, tape);
        }

        fixture.Want(x);
        if (recompute) fixture.Tape.Recompute("block", x, y, Block);
        else Block(fixture.Tape);
        float[] forward = y.ToFloats();
        float[] dX = fixture.Backward(y, dY, x)[0];
        return [forward, dX, dA.ToFloats(), dB.ToFloats()];
    }
}
