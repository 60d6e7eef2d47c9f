using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

public sealed class AttentionTests
{
    // Scores of |q|, |k| < 2 at scale 1/√H, summed over H; then a sum over the keys.
    private static double Bound(int headSize, int keys) => 4 * Tolerance.Float32(headSize + keys);

    // Rows, heads, key heads, head size: one, primes, one past a vector, one past a tile and a block of keys, the models' own head sizes.
    public static TheoryData<int, int, int, int> Shapes => new()
    {
        { 1, 1, 1, 1 }, { 1, 8, 4, 256 }, { 4, 2, 1, 16 }, { 7, 3, 1, 5 }, { 5, 4, 2, 17 }, { 33, 4, 2, 64 }, { 65, 1, 1, 72 }, { 97, 2, 2, 16 },
        { 131, 6, 2, 33 }, { 3, 70, 1, 8 }, { 129, 8, 4, 256 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Causal_forward_matches_the_reference(int rows, int heads, int keyHeads, int headSize) =>
        CheckForward(AttentionCase.Causal(1, rows, heads, keyHeads, headSize), Bound(headSize, rows));

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Unmasked_forward_matches_the_reference(int rows, int heads, int keyHeads, int headSize) =>
        CheckForward(AttentionCase.Whole(2, rows, heads, keyHeads, headSize), Bound(headSize, rows));

    [Theory]
    [InlineData(150, 1)]
    [InlineData(150, 7)]
    [InlineData(150, 97)]
    public void A_sliding_window_hides_what_lies_behind_it(int rows, int window) =>
        CheckForward(AttentionCase.Causal(3, rows, 4, 2, 16, window), Bound(16, rows));

    [Fact]
    public void Tokens_of_a_picture_see_each_other_both_ways() => CheckForward(Pictures(), Bound(16, 140));

    [Fact]
    public void Documents_packed_into_one_sequence_do_not_see_each_other() => CheckForward(Documents(), Bound(16, 120));

    // Rows 32 and on see only slots from 100: their first block of keys is hidden from them, but not from the other rows of the tile.
    [Fact]
    public void A_row_whose_first_block_is_hidden_is_exact()
    {
        int[] start = [.. Enumerable.Range(0, 150).Select(i => i is >= 32 and < 64 ? 100 : 0)];
        CheckForward(new AttentionCase(5, 1, 1, 8, start, [.. Enumerable.Repeat(150, 150)]), Bound(8, 150));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(40)]
    public void A_row_that_sees_nothing_gives_zeros_and_gradients_stay_finite(int rows)
    {
        AttentionCase c = AttentionCase.Causal(6, rows, 2, 1, 8);
        c.Start[1] = c.End[1] = 0;
        using var fixture = new OpFixture();
        (float[] y, float[] lse) = c.Forward(fixture);
        Assert.All(y[16..32], value => Assert.Equal(0, value));
        Assert.All(lse[2..4], value => Assert.Equal(float.NegativeInfinity, value));
        Assert.InRange(Tolerance.RelativeError(y, c.Reference()), 0, Bound(8, rows));

        using var training = new OpFixture();
        float[][] gradients = c.Backward(training);
        Assert.All(gradients, g => Assert.All(g, value => Assert.True(float.IsFinite(value))));
        Assert.All(gradients[0][16..32], value => Assert.Equal(0, value));
    }

    [Theory]
    [InlineData(1, 1, 1, 1)]
    [InlineData(3, 4, 2, 5)]
    [InlineData(7, 2, 1, 17)]
    [InlineData(19, 3, 3, 4)]
    [InlineData(67, 1, 1, 2)]
    public void Backward_matches_the_complex_step(int rows, int heads, int keyHeads, int headSize) =>
        CheckBackward(AttentionCase.Causal(7, rows, heads, keyHeads, headSize), Bound(headSize, rows));

    [Fact]
    public void Backward_follows_windows_pictures_and_documents()
    {
        CheckBackward(AttentionCase.Causal(8, 70, 2, 1, 2, window: 9), Bound(2, 70));
        CheckBackward(Pictures(headSize: 1), Bound(1, 140));
        CheckBackward(Documents(headSize: 1), Bound(1, 120));
    }

    [Fact]
    public void Backward_adds_to_gradients_that_are_already_there()
    {
        AttentionCase c = AttentionCase.Causal(9, 35, 4, 2, 16);
        using var single = new OpFixture();
        float[][] once = c.Backward(single);

        using var fixture = new OpFixture();
        TensorView q = fixture.Of(c.QueryShape, c.Q), k = fixture.Of(c.KeyShape, c.K), v = fixture.Of(c.KeyShape, c.V);
        TensorView start = fixture.Ints(c.Start), end = fixture.Ints(c.End);
        TensorView[] y = [fixture.Empty(c.QueryShape), fixture.Empty(c.QueryShape)], lse = [fixture.Empty(new Shape(35, 4)), fixture.Empty(new Shape(35, 4))];
        foreach (TensorView input in (TensorView[])[q, k, v]) fixture.Want(input);
        for (int i = 0; i < 2; i++)
            Attention.Forward(q, k, v, [new AttentionSequence(0, 35)], start, end, c.Scale, y[i], lse[i], fixture.Tape);
        fixture.Tape.GradientFor(y[1], out _).CopyFrom(c.DY);
        float[][] twice = fixture.Backward(y[0], c.DY, q, k, v);
        for (int i = 0; i < 3; i++) Assert.Equal(Array.ConvertAll(once[i], value => value + value), twice[i]);
    }

    [Fact]
    public void Only_gradients_that_are_wanted_are_computed()
    {
        AttentionCase c = AttentionCase.Causal(10, 35, 4, 2, 16);
        using var all = new OpFixture();
        float[] expected = c.Backward(all)[2];

        using var fixture = new OpFixture();
        TensorView v = fixture.Of(c.KeyShape, c.V), y = fixture.Empty(c.QueryShape);
        fixture.Want(v);
        Attention.Forward(
            fixture.Of(c.QueryShape, c.Q), fixture.Of(c.KeyShape, c.K), v, [new AttentionSequence(0, 35)], fixture.Ints(c.Start), fixture.Ints(c.End),
            c.Scale, y, fixture.Empty(new Shape(35, 4)), fixture.Tape);
        Assert.Equal(expected, fixture.Backward(y, c.DY, v)[0]);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        AttentionCase c = AttentionCase.Causal(11, 140, 4, 2, 24, window: 50);
        (float[][] Gradients, float[] Y) Run(int threads)
        {
            using OpFixture fixture = new(threads), training = new(threads);
            return (c.Backward(training), c.Forward(fixture).Y);
        }

        (float[][] gradients, float[] y) = Run(1);
        (float[][] otherGradients, float[] otherY) = Run(3);
        Assert.Equal(y, otherY);
        for (int i = 0; i < 3; i++) Assert.Equal(gradients[i], otherGradients[i]);
    }

    internal static AttentionCase Pictures(int headSize = 16)
    {
        // Spans [10, 50) and [90, 140): every token of a span sees to its end.
        static int End(int i) => i is >= 10 and < 50 ? 50 : i >= 90 ? 140 : i + 1;
        return new AttentionCase(4, 2, 1, headSize, new int[140], [.. Enumerable.Range(0, 140).Select(End)]);
    }

    private static AttentionCase Documents(int headSize = 16)
    {
        int[] slots = [.. Enumerable.Range(0, 120)];
        return new AttentionCase(5, 2, 1, headSize, Array.ConvertAll(slots, i => i < 37 ? 0 : i < 101 ? 37 : 101), Array.ConvertAll(slots, i => i + 1));
    }

    private static void CheckForward(AttentionCase c, double bound)
    {
        using var fixture = new OpFixture();
        Assert.InRange(Tolerance.RelativeError(c.Forward(fixture).Y, c.Reference()), 0, bound);
    }

    private static void CheckBackward(AttentionCase c, double bound)
    {
        using var fixture = new OpFixture();
        float[][] ours = c.Backward(fixture);
        double[][] expected = c.ReferenceGradients();
        // A single key leaves dQ and dK exactly zero: the size of dV is the scale of all three.
        double scale = expected[2].Max(Math.Abs);
        for (int i = 0; i < 3; i++)
            Assert.InRange(Tolerance.RelativeError([.. ours[i], (float)scale], [.. expected[i], (double)(float)scale]), 0, bound);
    }
}
