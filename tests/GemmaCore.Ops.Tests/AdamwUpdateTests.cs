using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class AdamwUpdateTests
{
    private const float LearningRate = 0.01f, Beta1 = 0.9f, Beta2 = 0.999f, Eps = 1e-8f, Decay = 0.1f, Scale = 0.37f;
    private const int Steps = 5;

    // One; a prime; one past a vector; one past a block of 16 K.
    public static TheoryData<string, int> Counts
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach ((string device, int count) in TestDevices.Spread([1, 7, 33, (16 << 10) + 1])) data.Add(device, count);
            return data;
        }
    }

    public static TheoryData<string> Cards => [.. TestDevices.Cards(2)];

    [Theory]
    [MemberData(nameof(Counts))]
    public void Five_steps_match_the_scalar_reference(string device, int count)
    {
        using var fixture = new OpFixture(device);
        float[] p = new Sample(1).Floats(count);
        AdamwUpdateReference[] references = Array.ConvertAll(p, v => new AdamwUpdateReference(v, LearningRate, Beta1, Beta2, Eps, Decay));

        (TensorView parameter, TensorView m, TensorView v) = Run(fixture, p, gradient =>
        {
            for (int i = 0; i < count; i++) references[i].Step((double)Scale * gradient[i]);
        });

        // Every step rounds once more.
        double tolerance = Tolerance.Float32(Steps);
        Assert.InRange(Tolerance.RelativeError(parameter.ToFloats(), Array.ConvertAll(references, r => r.Parameter)), 0, tolerance);
        Assert.InRange(Tolerance.RelativeError(m.ToFloats(), Array.ConvertAll(references, r => r.M)), 0, tolerance);
        Assert.InRange(Tolerance.RelativeError(v.ToFloats(), Array.ConvertAll(references, r => r.V)), 0, tolerance);
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_card_gives_the_bits_that_the_CPU_gives(string card)
    {
        using OpFixture onCpu = new(), onCard = new(card);
        float[] p = new Sample(4).Floats(2051);
        (TensorView parameter, TensorView m, TensorView v) = Run(onCpu, p, _ => { });
        (TensorView cardParameter, TensorView cardM, TensorView cardV) = Run(onCard, p, _ => { });
        Assert.Equal(parameter.ToFloats(), cardParameter.ToFloats());
        Assert.Equal(m.ToFloats(), cardM.ToFloats());
        Assert.Equal(v.ToFloats(), cardV.ToFloats());
    }

    // Element 1 of an allocation is not aligned for vectors, so the card goes one by one.
    [Theory]
    [MemberData(nameof(Cards))]
    public void A_view_that_is_not_aligned_is_updated_and_its_neighbours_are_not(string card)
    {
        using var fixture = new OpFixture(card);
        float[] p = new Sample(5).Floats(67), g = new Sample(6).Floats(67);
        TensorView parameter = fixture.Of(new Shape(67), p), gradient = fixture.Of(new Shape(67), g);
        TensorView m = fixture.Of(new Shape(67), new float[67]), v = fixture.Of(new Shape(67), new float[67]);
        TensorView Inner(TensorView view) => view.Slice(1, 65);

        AdamwUpdate.Apply(Inner(parameter), Inner(gradient), Inner(m), Inner(v), LearningRate, Beta1, Beta2, Eps, Decay, 1, Scale);

        double[] expected = Array.ConvertAll(p, value => (double)value);
        for (int i = 1; i < 66; i++)
        {
            var reference = new AdamwUpdateReference(p[i], LearningRate, Beta1, Beta2, Eps, Decay);
            reference.Step((double)Scale * g[i]);
            expected[i] = reference.Parameter;
        }

        float[] after = parameter.ToFloats();
        Assert.InRange(Tolerance.RelativeError(after, expected), 0, Tolerance.Float32(1));
        Assert.Equal((p[0], p[66]), (after[0], after[66]));
    }

    [Fact]
    public void The_gradient_is_only_read_and_a_zero_gradient_leaves_only_the_decay()
    {
        using var fixture = new OpFixture();
        TensorView p = fixture.Of(new Shape(2), [1, -2]), g = fixture.Of(new Shape(2), [0, 0]), m = fixture.Of(new Shape(2), [0, 0]), v = fixture.Of(new Shape(2), [0, 0]);

        AdamwUpdate.Apply(p, g, m, v, 0.5f, Beta1, Beta2, Eps, 0.5f, 1, 1);

        Assert.Equal([0.75f, -1.5f], p.ToFloats());
        Assert.Equal([0, 0], g.ToFloats());
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView good = fixture.Empty(new Shape(2, 8)), bad = fixture.Empty(new Shape(8, 2));
        string Refusal(TensorView g, TensorView m, TensorView v, int step) => Assert.Throws<ShapeException>(
            () => AdamwUpdate.Apply(good, g, m, v, LearningRate, Beta1, Beta2, Eps, Decay, step, 1)).Message;
        Assert.Contains("gradient must be like f32[2, 8]@cpu", Refusal(bad, good, good, 1), StringComparison.Ordinal);
        Assert.Contains("m must be like f32[2, 8]@cpu", Refusal(good, bad, good, 1), StringComparison.Ordinal);
        Assert.Contains("v must be like f32[2, 8]@cpu", Refusal(good, good, bad, 1), StringComparison.Ordinal);
        Assert.Contains("step counts from 1, got 0", Refusal(good, good, good, 0), StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        float[] p = new Sample(3).Floats(70_001);
        float[] After(int threads)
        {
            using var fixture = new OpFixture(threads);
            return Run(fixture, p, _ => { }).Parameter.ToFloats();
        }

        Assert.Equal(After(1), After(3));
    }

    private static (TensorView Parameter, TensorView M, TensorView V) Run(OpFixture fixture, float[] p, Action<float[]> eachStep)
    {
        var shape = new Shape(p.Length);
        var sample = new Sample(2);
        TensorView parameter = fixture.Of(shape, p), gradient = fixture.Empty(shape);
        TensorView m = fixture.Of(shape, new float[p.Length]), v = fixture.Of(shape, new float[p.Length]);
        for (int step = 1; step <= Steps; step++)
        {
            float[] g = sample.Floats(p.Length);
            gradient.CopyFrom(g);
            AdamwUpdate.Apply(parameter, gradient, m, v, LearningRate, Beta1, Beta2, Eps, Decay, step, Scale);
            eachStep(g);
        }

        return (parameter, m, v);
    }
}
