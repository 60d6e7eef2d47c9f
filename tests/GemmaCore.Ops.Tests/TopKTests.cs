using System.Runtime.InteropServices;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class TopKTests
{
    // Rows, vocabulary, k: one, primes, k = V, one past a vector, one past a segment of 2048, as many segments as need a third round.
    public static TheoryData<string, int, int, int> Shapes
    {
        get
        {
            var data = new TheoryData<string, int, int, int>();
            (int, int, int)[] shapes =
                [(1, 1, 1), (3, 7, 1), (2, 7, 7), (3, 33, 5), (2, 2049, 1), (2, 2049, 64), (1, 5001, 257), (1, 20_011, 511), (1, 9001, 512)];
            foreach ((string device, (int rows, int vocabulary, int k)) in TestDevices.Spread(shapes)) data.Add(device, rows, vocabulary, k);
            return data;
        }
    }

    public static TheoryData<string> Devices => [.. TestDevices.Cards(3).Prepend("cpu")];

    public static TheoryData<string, int> Counts
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach ((string device, int k) in TestDevices.Spread([1, 40, 300])) data.Add(device, k);
            return data;
        }
    }

    public static TheoryData<string, float, int> Poisons
    {
        get
        {
            var data = new TheoryData<string, float, int>();
            foreach ((string device, (float poison, int at)) in TestDevices.Spread([(float.NaN, 0), (float.PositiveInfinity, 4000), (float.NegativeInfinity, 17)]))
                data.Add(device, poison, at);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Ids_are_those_of_the_sorted_row_and_values_theirs(string device, int rows, int vocabulary, int k)
    {
        using var fixture = new OpFixture(device);
        float[] logits = new Sample(1).Floats(rows * vocabulary, -20, 20);

        (int[] ids, float[] values, float[] logprobs) = Run(fixture, logits, rows, k);

        for (int row = 0; row < rows; row++)
        {
            float[] one = logits[(row * vocabulary)..((row + 1) * vocabulary)];
            (int[] expected, double[] expectedLogprobs) = TopKReference.Forward(one);
            Assert.Equal(expected[..k], ids[(row * k)..((row + 1) * k)]);
            Assert.Equal(Array.ConvertAll(expected[..k], id => one[id]), values[(row * k)..((row + 1) * k)]);
            // A log-probability is the difference of two numbers of up to 20 and some.
            for (int i = 0; i < k; i++) Assert.Equal(expectedLogprobs[i], logprobs[row * k + i], Tolerance.Float32(vocabulary) * 20);
        }
    }

    // Few distinct values, both zeros among them: almost everything is a tie, and the lowest ids must win.
    [Theory]
    [MemberData(nameof(Counts))]
    public void Among_equals_the_lowest_id_comes_first(string device, int k)
    {
        using var fixture = new OpFixture(device);
        float[] choice = [-2, -0f, 0f, 1.5f];
        var sample = new Sample(2);
        float[] logits = new float[5000];
        for (int i = 0; i < logits.Length; i++) logits[i] = choice[sample.Below(i < 4500 ? 3 : 4)];

        int[] ids = Run(fixture, logits, 1, k).Ids;

        Assert.Equal(TopKReference.Forward(logits).Ids[..k], ids);
    }

    [Theory]
    [MemberData(nameof(Poisons))]
    public void A_row_that_is_not_finite_has_no_ids_and_its_neighbours_are_not_touched(string device, float poison, int at)
    {
        using var fixture = new OpFixture(device);
        float[] logits = new Sample(3).Floats(3 * 4001);
        logits[4001 + at] = poison;

        (int[] ids, float[] values, _) = Run(fixture, logits, 3, 2);

        Assert.Equal(TopKReference.Forward(logits[..4001]).Ids[..2], ids[..2]);
        Assert.Equal([-1, -1], ids[2..4]);
        Assert.All(values[2..4], value => Assert.True(float.IsNaN(value)));
        Assert.Equal(TopKReference.Forward(logits[8002..]).Ids[..2], ids[4..]);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void The_largest_and_smallest_finite_numbers_are_ordered_like_any_other(string device)
    {
        using var fixture = new OpFixture(device);
        float[] logits = [float.MinValue, -float.Epsilon, float.MaxValue, float.Epsilon, 0];
        Assert.Equal([2, 3, 4, 1, 0], Run(fixture, logits, 1, 5).Ids);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Values_and_log_probabilities_may_be_left_out(string device)
    {
        using var fixture = new OpFixture(device);
        TensorView ids = fixture.Ints(-7, -7);
        TopK.Forward(fixture.Of(new Shape(1, 4), [1, 3, 2, 3]), ids.Reshape(new Shape(1, 2)), default, default);
        Assert.Equal([1, 3], IntsOf(ids));
    }

    [Theory]
    [InlineData(0, "k must be from 1 to 9 for f32[2, 9]@cpu, got 0")]
    [InlineData(10, "k must be from 1 to 9 for f32[2, 9]@cpu, got 10")]
    public void A_k_that_the_row_does_not_have_is_refused(int k, string message)
    {
        using var fixture = new OpFixture();
        TensorView logits = fixture.Empty(new Shape(2, 9)), ids = fixture.Ints(new int[2 * k]).Reshape(new Shape(2, k));
        var error = Assert.Throws<ShapeException>(() => TopK.Forward(logits, ids, default, default));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2048, 1)]
    [InlineData(2049, 2)]
    [InlineData(262_208, 129)]
    public void A_round_has_a_block_for_every_2048_candidates(int candidates, int blocks) => Assert.Equal(blocks, TopK.Segments(candidates));

    private static (int[] Ids, float[] Values, float[] Logprobs) Run(OpFixture fixture, float[] logits, int rows, int k)
    {
        TensorView ids = fixture.Ints(new int[rows * k]).Reshape(new Shape(rows, k));
        TensorView values = fixture.Empty(ids.Shape), logprobs = fixture.Empty(ids.Shape);
        TopK.Forward(fixture.Of(new Shape(rows, logits.Length / rows), logits), ids, values, logprobs);
        return (IntsOf(ids), values.ToFloats(), logprobs.ToFloats());
    }

    private static int[] IntsOf(TensorView view)
    {
        int[] values = new int[view.Shape.ElementCount];
        view.Device.CopyToHost(view, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
