using System.Numerics;
using GemmaCore.Cuda;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class LinearCrossEntropyTests
{
    // Rows, columns, vocabulary: one, primes, one past a vector, one past a chunk of rows (of the CPU and every card), one past a block of the
    // sum, and the long rows that a card gives to larger blocks.
    public static TheoryData<string, int, int, int> Shapes =>
        Spread((1, 1, 1), (3, 7, 5), (5, 17, 33), (129, 8, 19), (2, 9, 4097), (257, 3, 5), (1025, 2, 3), (2, 3, 4096));

    public static TheoryData<string, int, int, int> GradientShapes =>
        Spread((2, 1, 2), (4, 7, 5), (3, 17, 33), (140, 2, 5), (2, 2, 4096), (3, 2, 4097));

    public static TheoryData<string> Devices => [.. TestDevices.Cards(1).Prepend("cpu")];

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_loss_matches_the_reference(string device, int rows, int columns, int vocabulary)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(1);
        float[] hidden = Values(fixture, sample, rows * columns, 3), head = Values(fixture, sample, vocabulary * columns, 1);
        int[] all = [.. Enumerable.Range(0, rows)], targets = Array.ConvertAll(all, _ => sample.Below(vocabulary));

        double loss = LinearCrossEntropy.Forward(
            fixture.Of(new Shape(rows, columns), hidden), Dense(fixture.Of(new Shape(vocabulary, columns), head)), all, targets, 1, fixture.Arena, null);

        double expected = LinearCrossEntropyReference.Forward<double, RealFunctions>(Sample.Widen(hidden), Sample.Widen(head), columns, all, targets)[0];
        Assert.InRange(Math.Abs(loss - expected), 0, Tolerance.Float32(columns) * Math.Max(1, Math.Abs(expected)));
    }

    [Theory]
    [MemberData(nameof(GradientShapes))]
    public void Backward_matches_the_complex_step_and_leaves_other_rows_at_zero(string device, int rows, int columns, int vocabulary)
    {
        const double scale = 0.25;
        using var fixture = new OpFixture(device);
        var sample = new Sample(2);
        float[] values = Values(fixture, sample, rows * columns, 3), head = Values(fixture, sample, vocabulary * columns, 1);
        int[] supervised = [.. Enumerable.Range(1, rows - 1)], targets = Array.ConvertAll(supervised, _ => sample.Below(vocabulary));
        TensorView hidden = fixture.Of(new Shape(rows, columns), values);
        fixture.Want(hidden);

        LinearCrossEntropy.Forward(hidden, Dense(fixture.Of(new Shape(vocabulary, columns), head)), supervised, targets, scale, fixture.Arena, fixture.Tape);
        float[] dHidden = Replay(fixture, hidden);

        double[] expected = ComplexStep.Gradient(Sample.Widen(values), [scale], p =>
            LinearCrossEntropyReference.Forward<Complex, ComplexFunctions>(p, Sample.Widen(head), columns, supervised, targets));
        // dLogits of a row sum up to 2·scale in magnitude, and a tensor core reads each of them rounded; the head's values are below 1.
        double allowed = Tolerance.Float32(columns + vocabulary) * expected.Max(Math.Abs) + 2 * scale * Rounding(fixture.Device);
        for (int i = 0; i < dHidden.Length; i++) Assert.Equal(expected[i], dHidden[i], allowed);
        Assert.All(dHidden[..columns], value => Assert.Equal(0, value));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void A_bf16_head_gives_what_its_widened_values_give(string device)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(3);
        TensorView hidden = fixture.Of(new Shape(9, 24), sample.Floats(9 * 24)), narrow = fixture.Weights(new Shape(50, 24), sample.Floats(50 * 24), DType.BF16);
        TensorView wide = fixture.Of(new Shape(50, 24), narrow.ToFloats());
        int[] rows = [1, 4, 8], targets = [0, 49, 7];

        double loss = LinearCrossEntropy.Forward(hidden, Dense(narrow), rows, targets, 1, fixture.Arena, null);
        // A card reads more 16-bit weights at a time than 32-bit ones, which changes the order of the sums.
        double allowed = fixture.Device is CpuDevice ? 0 : Tolerance.Float32(24) * loss;
        Assert.Equal(LinearCrossEntropy.Forward(hidden, Dense(wide), rows, targets, 1, fixture.Arena, null), loss, allowed);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void A_head_of_8_bit_rows_gives_what_its_dequantised_values_give(string device)
    {
        using var fixture = new OpFixture(device);
        using var quantised = new QuantizedSample(fixture.Device, new Shape(70, 24), seed: 8);
        // 140 rows are two chunks on the CPU and on small cards.
        float[] values = Values(fixture, new Sample(9), 140 * 24, 1);
        int[] rows = [.. Enumerable.Range(0, 140)], targets = Array.ConvertAll(rows, row => row % 70);
        TensorView hidden = fixture.Of(new Shape(140, 24), values);
        fixture.Want(hidden);

        double loss = LinearCrossEntropy.Forward(hidden, quantised.Int8, rows, targets, 0.25, fixture.Arena, fixture.Tape);
        float[] dHidden = Replay(fixture, hidden);

        double expected = LinearCrossEntropyReference.Forward<double, RealFunctions>(Sample.Widen(values), quantised.DenseInt8, 24, rows, targets)[0];
        double[] gradient = ComplexStep.Gradient(Sample.Widen(values), [0.25], p =>
            LinearCrossEntropyReference.Forward<Complex, ComplexFunctions>(p, quantised.DenseInt8, 24, rows, targets));
        // The head, below 1, is rounded to the card's type once: each logit moves by at most unit · Σ|h|, a row's loss by twice that, and so much its softmax relatively.
        double unit = Rounding(fixture.Device), reach = values.Chunk(24).Max(row => row.Sum(Math.Abs));
        Assert.InRange(Math.Abs(loss - expected), 0, (Tolerance.Float32(24) * expected) + (2 * unit * reach * rows.Length));
        double allowed = Tolerance.Float32(24 + 70) * gradient.Max(Math.Abs) + 2 * 0.25 * unit * (2 + 2 * reach);
        for (int i = 0; i < dHidden.Length; i++) Assert.Equal(gradient[i], dHidden[i], allowed);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Backward_adds_to_a_gradient_that_is_already_there(string device)
    {
        var sample = new Sample(4);
        float[] values = sample.Floats(5 * 6), head = sample.Floats(11 * 6);
        float[] Run(int times)
        {
            using var fixture = new OpFixture(device);
            TensorView hidden = fixture.Of(new Shape(5, 6), values), weights = fixture.Of(new Shape(11, 6), head);
            fixture.Want(hidden);
            for (int i = 0; i < times; i++) LinearCrossEntropy.Forward(hidden, Dense(weights), [0, 3], [1, 2], 1, fixture.Arena, fixture.Tape);
            return Replay(fixture, hidden);
        }

        Assert.Equal(Array.ConvertAll(Run(1), v => v + v), Run(2));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Scratch_returns_to_the_arena(string device)
    {
        using var fixture = new OpFixture(device);
        TensorView hidden = fixture.Of(new Shape(2, 4), new float[8]), head = fixture.Of(new Shape(7, 4), new float[28]);
        Arena.Mark before = fixture.Arena.Position;
        Assert.Equal(2 * Math.Log(7), LinearCrossEntropy.Forward(hidden, Dense(head), [0, 1], [3, 6], 1, fixture.Arena, null), Tolerance.Float32(1));
        Assert.Equal(before, fixture.Arena.Position);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void A_hidden_state_that_is_not_finite_shows_in_the_loss(string device)
    {
        using var fixture = new OpFixture(device);
        float[] values = new Sample(6).Floats(12 * 8);
        values[90] = float.NaN;
        TensorView hidden = fixture.Of(new Shape(12, 8), values), head = fixture.Of(new Shape(7, 8), new Sample(7).Floats(7 * 8));
        int[] rows = [.. Enumerable.Range(0, 12)];
        Assert.True(double.IsNaN(LinearCrossEntropy.Forward(hidden, Dense(head), rows, new int[12], 1, fixture.Arena, null)));
        Assert.True(double.IsFinite(LinearCrossEntropy.Forward(hidden, Dense(head), rows.AsSpan(0, 11), new int[11], 1, fixture.Arena, null)));
    }

    [Theory]
    [InlineData("gtx1650")]
    [InlineData("t4")]
    [InlineData("h200")]
    public void Results_do_not_depend_on_the_order_in_which_threads_run(string card)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("a real card has one schedule");
        var sample = new Sample(8);
        float[] values = sample.Floats(40 * 16), head = sample.Floats(70 * 16);
        int[] rows = [.. Enumerable.Range(0, 40)];
        (double, float[]) Run(string schedule)
        {
            using var fixture = new OpFixture($"{card}/{schedule}");
            TensorView hidden = fixture.Of(new Shape(40, 16), values);
            fixture.Want(hidden);
            double loss = LinearCrossEntropy.Forward(hidden, Dense(fixture.Of(new Shape(70, 16), head)), rows, rows, 0.01, fixture.Arena, fixture.Tape);
            return (loss, Replay(fixture, hidden));
        }

        (double loss, float[] dHidden) = Run("round_robin");
        foreach (string schedule in (string[])["random", "priority", "adversarial"])
        {
            (double otherLoss, float[] otherDHidden) = Run(schedule);
            Assert.Equal(loss, otherLoss);
            Assert.Equal(dHidden, otherDHidden);
        }
    }

    [Theory]
    [InlineData(14, 128)]
    [InlineData(40, 256)]
    [InlineData(108, 512)]
    [InlineData(132, 1024)]
    public void A_chunk_grows_with_the_card(int multiprocessors, int rows) => Assert.Equal(rows, LinearCrossEntropy.RowsPerChunkCuda(multiprocessors));

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
            double loss = LinearCrossEntropy.Forward(hidden, Dense(fixture.Of(new Shape(300, 32), head)), rows, rows, 0.01, fixture.Arena, fixture.Tape);
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
    [InlineData(0, 0, 7, "head must be [V, 8], got f32[5, 7]")]
    public void What_does_not_fit_is_refused(int row, int target, int headColumns, string message)
    {
        using var fixture = new OpFixture();
        TensorView hidden = fixture.Empty(new Shape(3, 8)), head = fixture.Empty(new Shape(5, headColumns));
        var error = Assert.Throws<ShapeException>(() => LinearCrossEntropy.Forward(hidden, Dense(head), [row], [target], 1, fixture.Arena, null));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    private static DenseMatrix Dense(TensorView head) => new(head);

    // The operation seeds the tape itself; a bystander output satisfies the fixture, which seeds what it is given.
    private static float[] Replay(OpFixture fixture, TensorView hidden)
    {
        TensorView bystander = fixture.Empty(new Shape(1));
        return fixture.Backward(bystander, [0], hidden)[0];
    }

    private static TheoryData<string, int, int, int> Spread(params (int Rows, int Columns, int Vocabulary)[] shapes)
    {
        var data = new TheoryData<string, int, int, int>();
        foreach ((string device, (int rows, int columns, int vocabulary)) in TestDevices.Spread(shapes)) data.Add(device, rows, columns, vocabulary);
        return data;
    }

    // On a card multiples of 1/64: bf16 and fp16 hold them exactly, so that what is compared is this operation and not the product's rounding.
    private static float[] Values(OpFixture fixture, Sample sample, int count, float limit)
    {
        float[] values = sample.Floats(count, -limit, limit);
        return fixture.Device is CpuDevice ? values : Array.ConvertAll(values, value => MathF.Round(value * 64) / 64);
    }

    // Half a unit in the last place of what the card's products read, relative.
    private static double Rounding(Device device) => (device as CudaDevice)?.Precision switch
    {
        CudaPrecision.BFloat16 => Math.ScaleB(1, -8),
        CudaPrecision.Float16 => Math.ScaleB(1, -11),
        _ => 0,
    };
}
