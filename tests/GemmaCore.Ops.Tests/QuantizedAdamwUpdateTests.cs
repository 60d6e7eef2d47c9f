using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class QuantizedAdamwUpdateTests
{
    private const float LearningRate = 0.01f, Beta1 = 0.9f, Beta2 = 0.999f, Eps = 1e-8f, Decay = 0.1f, Scale = 0.37f;

    // One; a prime; one past a block; past the blocks of one warp; one past a part of 16 K.
    public static TheoryData<string, int> Counts
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach ((string device, int count) in TestDevices.Spread([1, 7, 257, 1500, (16 << 10) + 1])) data.Add(device, count);
            return data;
        }
    }

    public static TheoryData<string> Cards => [.. TestDevices.Cards(1)];

    [Fact]
    public void Maps_are_those_of_the_paper()
    {
        // Middles of equal steps of seven decades, in decimal arithmetic, each rounded a few times on the way to f32.
        foreach ((IReadOnlyList<float> map, bool signed) in new[] { ((IReadOnlyList<float>)DynamicMap.Signed, true), (DynamicMap.Unsigned, false) })
        {
            List<double> expected = [0, 1];
            for (int decade = 0; decade < 7; decade++)
            {
                int steps = 1 << (signed ? decade : decade + 1);
                for (int k = 0; k < steps; k++) expected.Add((0.1 + 0.9 * (k + 0.5) / steps) * Math.Pow(10, decade - 6));
            }

            if (signed) expected.AddRange(expected.Where(value => value is > 0 and < 1).ToList().ConvertAll(value => -value));
            expected.Sort();
            Assert.Equal(256, expected.Count);
            Assert.Equal(256, map.Count);
            for (int i = 0; i < 256; i++) Assert.InRange(Math.Abs(map[i] - expected[i]), 0, Math.Abs(expected[i]) * Math.ScaleB(1, -22));
        }
    }

    // The fp64 reference goes on from what the operation has left, so that each step is judged by itself: errors of rounding do not add up.
    [Theory]
    [MemberData(nameof(Counts))]
    public void Every_step_matches_the_scalar_reference(string device, int count)
    {
        using var fixture = new OpFixture(device);
        State state = new(fixture, count);
        float[] p = new Sample(1).Floats(count);
        TensorView parameter = fixture.Of(new Shape(count), p), gradient = fixture.Empty(new Shape(count));
        var sample = new Sample(2);
        for (int step = 1; step <= 5; step++)
        {
            QuantizedAdamwUpdateReference reference = new(state.M, state.V, DynamicMap.Signed, DynamicMap.Unsigned);
            float[] g = Wide(sample.Floats(count));
            gradient.CopyFrom(g);
            double[] expected = reference.Step(parameter.ToFloats(), g, Scale, step, LearningRate, Beta1, Beta2, Eps, Decay);
            AdamwUpdate.Apply(parameter, gradient, state.Moment(0), state.Moment(1), LearningRate, Beta1, Beta2, Eps, Decay, step, Scale);
            Assert.InRange(Tolerance.RelativeError(parameter.ToFloats(), expected), 0, Tolerance.Float32(1));
            reference.AssertRounded(state.M, state.V);
        }
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_card_gives_the_bits_that_the_CPU_gives(string card)
    {
        (float[] Parameter, byte[] M, byte[] V) After(string device)
        {
            using var fixture = new OpFixture(device);
            State state = new(fixture, 2051);
            TensorView parameter = Run(fixture, state, shift: 0);
            return (parameter.ToFloats(), state.M.Codes, state.V.Codes);
        }

        (float[] Parameter, byte[] M, byte[] V) cpu = After("cpu"), onCard = After(card);
        Assert.Equal(cpu.Parameter, onCard.Parameter);
        Assert.Equal(cpu.M, onCard.M);
        Assert.Equal(cpu.V, onCard.V);
    }

    // Element 1 of an allocation is not aligned for vectors, so the card goes one by one.
    [Theory]
    [MemberData(nameof(Cards))]
    public void A_view_that_is_not_aligned_gets_the_same_bits(string card)
    {
        using var fixture = new OpFixture(card);
        State aligned = new(fixture, 300), shifted = new(fixture, 300, shift: 1);
        Assert.Equal(Run(fixture, aligned, shift: 0).ToFloats(), Run(fixture, shifted, shift: 1).ToFloats());
        Assert.Equal(aligned.M.Codes, shifted.M.Codes);
        Assert.Equal(aligned.V.Codes, shifted.V.Codes);
        Assert.Equal(aligned.V.Absmax, shifted.V.Absmax);
    }

    // A thousandth of the block's largest gradient has a millionth of its second moment, which is nearer to zero than to the first code.
    [Theory]
    [MemberData(nameof(Cards))]
    [InlineData("cpu")]
    public void A_second_moment_above_zero_is_never_kept_as_zero(string device)
    {
        using var fixture = new OpFixture(device);
        State state = new(fixture, 3);
        TensorView parameter = fixture.Of(new Shape(3), [0, 0, 0]), gradient = fixture.Of(new Shape(3), [1, 1e-4f, 0]);
        AdamwUpdate.Apply(parameter, gradient, state.Moment(0), state.Moment(1), LearningRate, Beta1, Beta2, Eps, 0, 1, 1);
        Assert.Equal([255, 1, 0], state.V.Codes);
        gradient.CopyFrom([0, 0, 0]);
        float[] before = parameter.ToFloats();
        AdamwUpdate.Apply(parameter, gradient, state.Moment(0), state.Moment(1), LearningRate, Beta1, Beta2, Eps, 0, 2, 1);
        Assert.InRange(Math.Abs(parameter.ToFloats()[1] - before[1]), 0, LearningRate); // an m over a root of zero would be a step of a thousand rates
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView p = fixture.Empty(new Shape(300)), wide = fixture.Empty(new Shape(2, 150));
        QuantizedMoment good = new State(fixture, 300).Moment(0);
        string Refusal(TensorView g, QuantizedMoment m, QuantizedMoment v, int step) => Assert.Throws<ShapeException>(
            () => AdamwUpdate.Apply(p, g, m, v, LearningRate, Beta1, Beta2, Eps, Decay, step, 1)).Message;
        Assert.Contains("gradient must be like f32[300]@cpu", Refusal(wide, good, good, 1), StringComparison.Ordinal);
        Assert.Contains("codes of m must be u8[300], got f32[300]", Refusal(p, good with { Codes = p }, good, 1), StringComparison.Ordinal);
        Assert.Contains("absmax of v must be f32[2], got f32[300]", Refusal(p, good, good with { Absmax = p }, 1), StringComparison.Ordinal);
        Assert.Contains("map of v must be f32[256], got f32[300]", Refusal(p, good, good with { Map = p }, 1), StringComparison.Ordinal);
        Assert.Contains("step counts from 1, got 0", Refusal(p, good, good, 0), StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        (float[] Parameter, byte[] M) After(int threads)
        {
            using var fixture = new OpFixture(threads);
            State state = new(fixture, 70_001);
            return (Run(fixture, state, shift: 0).ToFloats(), state.M.Codes);
        }

        (float[] Parameter, byte[] M) one = After(1), three = After(3);
        Assert.Equal(one.Parameter, three.Parameter);
        Assert.Equal(one.M, three.M);
    }

    // Gradients over five decades, as in a block of weights of which some hardly matter.
    private static float[] Wide(float[] values) => [.. values.Select((value, i) => value * MathF.Pow(10, -(i % 6)))];

    private static TensorView Run(OpFixture fixture, State state, int shift)
    {
        var shape = new Shape(state.Count);
        TensorView parameter = fixture.Of(shape, new Sample(4).Floats(state.Count), shift);
        var sample = new Sample(5);
        for (int step = 1; step <= 3; step++)
        {
            TensorView gradient = fixture.Of(shape, Wide(sample.Floats(state.Count)), shift);
            AdamwUpdate.Apply(parameter, gradient, state.Moment(0), state.Moment(1), LearningRate, Beta1, Beta2, Eps, Decay, step, Scale);
        }

        return parameter;
    }

    /// <summary>Both moments, zero at first, on a device; the codes start some bytes past an aligned address.</summary>
    private sealed class State
    {
        private readonly QuantizedMoment[] _moments;

        public State(OpFixture fixture, int count, int shift = 0)
        {
            Count = count;
            _moments = [.. new[] { DynamicMap.Signed, DynamicMap.Unsigned }.Select(map => new QuantizedMoment(
                fixture.Bytes(new Shape(count + shift), new byte[count + shift]).Slice(shift, count),
                fixture.Of(new Shape(QuantizedMoment.BlockCount(count)), new float[QuantizedMoment.BlockCount(count)]),
                fixture.Of(new Shape(256), [.. map])))];
        }

        public int Count { get; }

        public (byte[] Codes, float[] Absmax) M => Read(_moments[0]);

        public (byte[] Codes, float[] Absmax) V => Read(_moments[1]);

        public QuantizedMoment Moment(int index) => _moments[index];

        private static (byte[] Codes, float[] Absmax) Read(QuantizedMoment moment)
        {
            byte[] codes = new byte[moment.Codes.ByteCount];
            moment.Codes.Device.CopyToHost(moment.Codes, codes);
            return (codes, moment.Absmax.ToFloats());
        }
    }
}
