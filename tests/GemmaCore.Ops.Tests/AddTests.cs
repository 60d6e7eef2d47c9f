using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class AddTests
{
    // Elements, floats past an aligned address: one; a prime; one past a vector; one past a block of 16 K; whole vectors off alignment;
    // more than the smallest card holds at once.
    public static IEnumerable<(string, int, int)> Counts =>
        from row in TestDevices.Spread<(int Count, int Shift)>([(1, 0), (7, 0), (33, 0), ((16 << 10) + 1, 0), (36, 1), (120_001, 0)])
        select (row.Device, row.Case.Count, row.Case.Shift);

    public static TheoryData<string> Devices => ["cpu", .. TestDevices.Cards()];

    [Theory]
    [MemberData(nameof(Counts))]
    public void Forward_matches_the_reference(string device, int count, int shift)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(1);
        var shape = new Shape(count);
        float[] x = sample.Floats(count), n = sample.Floats(count);
        TensorView y = fixture.Empty(shape, shift), inPlace = fixture.Of(shape, x, shift), other = fixture.Of(shape, n, shift);

        Add.Forward(inPlace, other, y, null);
        Add.Forward(inPlace, other, inPlace, null);

        double[] expected = AddReference.Forward(Sample.Widen(x), Sample.Widen(n));
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(1));
        Assert.Equal(y.ToFloats(), inPlace.ToFloats());
    }

    [Theory]
    [MemberData(nameof(Counts))]
    public void Backward_gives_the_output_gradient_to_both(string device, int count, int shift)
    {
        using var fixture = new OpFixture(device);
        (TensorView x, TensorView n, TensorView y) = Operands(fixture, count, shift);
        float[] dY = new Sample(2).Floats(count);
        fixture.Want(x);
        fixture.Want(n);

        Add.Forward(x, n, y, fixture.Tape);
        float[][] gradients = fixture.Backward(y, dY, x, n);

        Assert.Equal(dY, gradients[0]);
        Assert.Equal(dY, gradients[1]);
    }

    [Theory]
    [MemberData(nameof(Counts))]
    public void Backward_adds_to_gradients_that_are_already_there(string device, int count, int shift)
    {
        using var fixture = new OpFixture(device);
        (TensorView x, TensorView n, TensorView y) = Operands(fixture, count, shift);
        var sample = new Sample(3);
        float[] dY = sample.Floats(count), startX = sample.Floats(count), startN = sample.Floats(count);
        fixture.Want(x);
        fixture.Want(n);

        Add.Forward(x, n, y, fixture.Tape);
        fixture.Tape.GradientFor(x, out _).CopyFrom(startX);
        fixture.Tape.GradientFor(n, out _).CopyFrom(startN);
        float[][] gradients = fixture.Backward(y, dY, x, n);

        Assert.Equal([.. dY.Zip(startX, (d, s) => d + s)], gradients[0]);
        Assert.Equal([.. dY.Zip(startN, (d, s) => d + s)], gradients[1]);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void An_input_added_to_itself_gets_the_gradient_twice(string device)
    {
        using var fixture = new OpFixture(device);
        (TensorView x, _, TensorView y) = Operands(fixture, 33, shift: 0);
        float[] dY = new Sample(4).Floats(33);
        fixture.Want(x);

        Add.Forward(x, x, y, fixture.Tape);

        Assert.Equal(Array.ConvertAll(dY, d => d + d), fixture.Backward(y, dY, x)[0]);
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(2, 8)), bad = fixture.Empty(new Shape(8, 2));
        fixture.Tape.Track(x);
        string Refusal(Action action) => Assert.Throws<ShapeException>(action).Message;
        Assert.Contains("n must be like f32[2, 8]@cpu, got f32[8, 2]@cpu", Refusal(() => Add.Forward(x, bad, x, null)), StringComparison.Ordinal);
        Assert.Contains("y must be like f32[2, 8]@cpu, got f32[8, 2]@cpu", Refusal(() => Add.Forward(x, x, bad, null)), StringComparison.Ordinal);
        Assert.Contains("y must not be x or n", Refusal(() => Add.Forward(x, x, x, fixture.Tape)), StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            (TensorView x, TensorView n, TensorView y) = Operands(fixture, 70_001, shift: 0);
            Add.Forward(x, n, y, null);
            return y.ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }

    private static (TensorView X, TensorView N, TensorView Y) Operands(OpFixture fixture, int count, int shift)
    {
        var sample = new Sample(1);
        var shape = new Shape(count);
        return (fixture.Of(shape, sample.Floats(count), shift), fixture.Of(shape, sample.Floats(count), shift), fixture.Empty(shape, shift));
    }
}
