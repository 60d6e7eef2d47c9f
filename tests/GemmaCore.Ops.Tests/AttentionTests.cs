using GemmaCore.Cuda;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

/// <summary>Both passes against the reference on every device; masks and batches have classes of their own.</summary>
public sealed class AttentionTests
{
    // Rows, heads, key heads, head size: one; primes; one past a vector, a tile and a block of keys; the models' own head sizes; groups of 1, 2, 3, 8 and
    // 70; on the cards also 1 and 4 rows (decoding kernel), and 17, one past what that takes.
    public static IEnumerable<(string, int, int, int, int)> Shapes => Spread(
    [
        (1, 1, 1, 1), (1, 8, 4, 256), (4, 2, 1, 16), (7, 3, 1, 5), (5, 4, 2, 17), (33, 4, 2, 64), (65, 1, 1, 72), (97, 2, 2, 16), (131, 6, 2, 33),
        (3, 70, 1, 8), (129, 4, 2, 256), (17, 8, 1, 256), (65, 4, 2, 128), (129, 1, 1, 64), (4, 8, 1, 128),
    ]);

    public static IEnumerable<(string, int, int, int, int)> GradientShapes => Spread(
    [
        (1, 1, 1, 1), (3, 4, 2, 5), (7, 2, 1, 17), (19, 3, 3, 4), (67, 1, 1, 2), (1, 4, 2, 64), (33, 4, 2, 64), (65, 2, 2, 72), (65, 2, 1, 128),
        (40, 4, 2, 256), (150, 4, 2, 256), (33, 8, 1, 64), (129, 1, 1, 64),
    ]);

    public static TheoryData<string> Devices => [.. (string[])["cpu", .. TestDevices.Cards()]];

    public static IEnumerable<(string, int)> HeadSizes => [.. TestDevices.Spread([64]), .. AttentionMaskTests.WideHeads];

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Causal_forward_matches_the_reference(string device, int rows, int heads, int keyHeads, int headSize) =>
        AttentionCase.Causal(1, rows, heads, keyHeads, headSize).CheckForward(device);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Unmasked_forward_matches_the_reference(string device, int rows, int heads, int keyHeads, int headSize) =>
        AttentionCase.Whole(2, rows, heads, keyHeads, headSize).CheckForward(device);

    [Theory]
    [MemberData(nameof(GradientShapes))]
    public void Backward_matches_the_reference(string device, int rows, int heads, int keyHeads, int headSize) =>
        AttentionCase.Causal(7, rows, heads, keyHeads, headSize).CheckBackward(device);

    [Theory]
    [InlineData(1, 1, 1, 1)]
    [InlineData(3, 4, 2, 5)]
    [InlineData(7, 2, 1, 17)]
    [InlineData(19, 3, 3, 4)]
    public void The_reference_gradients_are_those_of_the_complex_step(int rows, int heads, int keyHeads, int headSize)
    {
        AttentionCase c = AttentionCase.Causal(7, rows, heads, keyHeads, headSize);
        double[][] expected = c.ComplexStepGradients(), ours = c.ReferenceGradients();
        double scale = expected[2].Max(Math.Abs);
        for (int i = 0; i < 3; i++)
            Assert.All(ours[i].Zip(expected[i]), pair => Assert.InRange(Math.Abs(pair.First - pair.Second) / scale, 0, 1e-13));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void The_logarithm_of_the_sum_is_natural(string device)
    {
        // Equal keys: every row's sum is (number of its keys)·exp(score).
        AttentionCase c = AttentionCase.Causal(12, 40, 2, 1, 64);
        for (int i = 64; i < c.K.Length; i++) c.K[i] = c.K[i - 64];
        using var fixture = new OpFixture(device);
        float[] lse = c.Forward(fixture).Lse;
        var expected = new double[lse.Length];
        for (int i = 0; i < expected.Length; i++)
        {
            double score = 0;
            for (int h = 0; h < 64; h++) score += (double)c.Q[i * 64 + h] * c.K[h] * c.Scale;
            expected[i] = score + Math.Log(i / 2 + 1);
        }

        Assert.InRange(Tolerance.RelativeError(lse, expected), 0, c.ForwardBound(fixture.Device));
    }

    // fp16 ends at 65504: the cards of 7.5 scale tiles by powers of two.
    [Theory]
    [MemberData(nameof(Devices))]
    public void Values_and_gradients_of_a_million_keep_their_accuracy(string device)
    {
        AttentionCase c = AttentionCase.Causal(13, 70, 4, 2, 64);
        for (int i = 0; i < c.V.Length; i++) c.V[i] *= 1e6f;
        for (int i = 0; i < c.DY.Length; i++) c.DY[i] *= 1e6f;
        c.CheckForward(device);
        c.CheckBackward(device);
    }

    // Magnitudes that fp16 would flush to zero, and that change from tile to tile by more than its range.
    [Theory]
    [MemberData(nameof(Devices))]
    public void Tiles_of_very_different_magnitude_keep_their_accuracy(string device)
    {
        AttentionCase c = AttentionCase.Causal(14, 130, 2, 1, 64);
        for (int i = 0; i < c.V.Length; i++) c.V[i] *= MathF.ScaleB(1, i / 64 / 32 * 12 - 40);
        for (int i = 0; i < c.DY.Length; i++) c.DY[i] *= MathF.ScaleB(1, 10 - i / 64 / 32 * 9);
        using (var fixture = new OpFixture(device))
        {
            // Row by row: the largest rows alone would say nothing about the small ones.
            float[] y = c.Forward(fixture).Y;
            double[] expected = c.Reference();
            for (int at = 0; at < y.Length; at += 64)
                Assert.InRange(Tolerance.RelativeError(y.AsSpan(at, 64), expected.AsSpan(at, 64)), 0, c.ForwardBound(fixture.Device));
        }

        c.CheckBackward(device);
    }

    [Theory]
    [MemberData(nameof(HeadSizes))]
    public void Backward_adds_to_gradients_that_are_already_there(string device, int headSize)
    {
        AttentionCase c = AttentionCase.Causal(9, 35, 4, 2, headSize);
        float[][] once;
        using (var single = new OpFixture(device)) once = c.Backward(single);

        using var fixture = new OpFixture(device);
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

    [Theory]
    [MemberData(nameof(HeadSizes))]
    public void Only_gradients_that_are_wanted_are_computed(string device, int headSize)
    {
        AttentionCase c = AttentionCase.Causal(10, 35, 4, 2, headSize);
        float[][] expected;
        using (var all = new OpFixture(device)) expected = c.Backward(all);
        for (int wanted = 0; wanted < 3; wanted++)
        {
            using var fixture = new OpFixture(device);
            TensorView[] inputs = [fixture.Of(c.QueryShape, c.Q), fixture.Of(c.KeyShape, c.K), fixture.Of(c.KeyShape, c.V)];
            TensorView y = fixture.Empty(c.QueryShape);
            fixture.Want(inputs[wanted]);
            Attention.Forward(
                inputs[0], inputs[1], inputs[2], [new AttentionSequence(0, 35)], fixture.Ints(c.Start), fixture.Ints(c.End), c.Scale, y,
                fixture.Empty(new Shape(35, 4)), fixture.Tape);
            Assert.Equal(expected[wanted], fixture.Backward(y, c.DY, inputs[wanted])[0]);
        }
    }

    // Key heads that give the card's multiprocessors a block or more, which is what the larger tiles are for. Of heads of 256, 129 rows of few key heads
    // are tiles in pairs; with a window the two of a pair see slots that are apart.
    [Theory]
    [InlineData("h200/random", 129, 34, 256, int.MaxValue)]
    [InlineData("h200/adversarial", 200, 17, 256, 20)]
    [InlineData("h200/priority", 70, 133, 256, 30)]
    [InlineData("a100/random", 129, 28, 256, int.MaxValue)]
    [InlineData("h200/round_robin", 70, 132, 128, int.MaxValue)]
    [InlineData("a100/adversarial", 70, 108, 128, 30)]
    [InlineData("h200/random", 131, 66, 72, 40)]
    [InlineData("a100/priority", 70, 108, 64, int.MaxValue)]
    public void The_tiles_for_many_blocks_match_the_reference(string device, int rows, int heads, int headSize, int window)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("the count of blocks is that of a simulated card");
        AttentionCase.Causal(15, rows, heads, heads, headSize, window).CheckForward(device);
    }

    // Two blocks of queries and three of slots, some of which see nothing of the others.
    [Theory]
    [InlineData("h200/random", 150, 4, 2, int.MaxValue)]
    [InlineData("h200/adversarial", 150, 2, 1, 40)]
    [InlineData("a100/priority", 150, 2, 1, 40)]
    public void Backward_of_wide_heads_matches_the_reference_over_several_tiles(string device, int rows, int heads, int keyHeads, int window)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("the same shapes are checked there in causal order");
        AttentionCase.Causal(17, rows, heads, keyHeads, 256, window).CheckBackward(device);
    }

    // 8.6 and 8.9 have tiles of their own; the simulated H200 runs them as a newer card runs PTX of an older architecture.
    [Fact]
    public void The_tiles_of_cards_with_99_KiB_match_the_reference()
    {
        using CudaDevice card = TestDevices.OpenCard("h200/priority", architecture: 86);
        using var fixture = new OpFixture(card);
        AttentionCase.Causal(16, 70, 4, 2, 256).CheckForward(fixture);
        AttentionCase.Causal(16, 70, 4, 2, 256).CheckBackward(fixture);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count() => CheckEqual("cpu", "cpu", otherThreads: 3);

    [Fact]
    public void Results_do_not_depend_on_the_order_of_a_cards_threads()
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("a real card's order cannot be chosen");
        foreach (string card in (string[])["gtx1650", "t4", "a100", "h200"]) CheckEqual($"{card}/round_robin", $"{card}/adversarial");
    }

    private static void CheckEqual(string device, string other, int otherThreads = 1)
    {
        AttentionCase c = AttentionCase.Causal(11, 140, 4, 2, 64, window: 50);
        (float[][] Gradients, float[] Y) Run(string name, int threads)
        {
            using var fixture = new OpFixture(name, threads);
            float[][] gradients = c.Backward(fixture);
            return (gradients, c.Forward(fixture).Y);
        }

        (float[][] gradients, float[] y) = Run(device, 1);
        (float[][] otherGradients, float[] otherY) = Run(other, otherThreads);
        Assert.Equal(y, otherY);
        for (int i = 0; i < 3; i++) Assert.Equal(gradients[i], otherGradients[i]);
    }

    private static IEnumerable<(string, int, int, int, int)> Spread(IEnumerable<(int Rows, int Heads, int KeyHeads, int HeadSize)> shapes) =>
        from row in TestDevices.Spread(shapes) select (row.Device, row.Case.Rows, row.Case.Heads, row.Case.KeyHeads, row.Case.HeadSize);
}
