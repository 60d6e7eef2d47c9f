using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// A weight matrix of codes: what products of all formats check, where they go and what they record. A format brings how it multiplies on each device; weights
/// are dequantised in fp32 where they are used, then the arithmetic is that of <see cref="Matmul"/>.
/// </summary>
public abstract class QuantizedMatrix : WeightMatrix
{
    private readonly ProductNames _names;

    private protected QuantizedMatrix(Shape shape, ProductNames names)
        : base(shape) => _names = names;

    /// <inheritdoc/>
    public sealed override void Multiply(TensorView x, TensorView bias, TensorView y, Tape? tape)
    {
        Require.Product(_names.Forward, x, Shape, bias, y);
        if (x.Device is CpuDevice cpu) ForwardCpu(cpu, x, bias, y);
        else if (x.Device is not CudaDevice cuda) throw Require.NoSuchDevice(_names.Forward, x.Device);
        else if (x.Shape.Rows > 0) ForwardCuda(cuda, x, bias, y);
        if (tape is not null && tape.Tracks(x)) Record(x, y, tape);
    }

    /// <inheritdoc/>
    public sealed override void MultiplyInOut(TensorView x, TensorView y)
    {
        Require.Floats(_names.ForwardInOut, "x", x);
        Require.That(Shape[0] == x.Shape.Columns, _names.ForwardInOut, $"w must be [{x.Shape.Columns}, O] for x {x}, got {this}");
        Require.Rows(_names.ForwardInOut, y, x.Shape.Rows, Shape[1]);
        BackwardOn(_names.ForwardInOut, x, y, accumulate: false);
    }

    private protected abstract void ForwardCpu(CpuDevice cpu, TensorView x, TensorView bias, TensorView y);

    private protected abstract void BackwardCpu(CpuDevice cpu, TensorView dY, TensorView dX, bool accumulate);

    private protected virtual void ForwardCuda(CudaDevice cuda, TensorView x, TensorView bias, TensorView y)
    {
        Arena.Mark start = cuda.Scratch.Position;
        Matmul.NT(cuda, x, Dequantize(cuda), y, bias);
        cuda.Scratch.Rewind(start);
    }

    private protected virtual void BackwardCuda(CudaDevice cuda, TensorView dY, TensorView dX, bool accumulate)
    {
        Arena.Mark start = cuda.Scratch.Position;
        Matmul.NN(cuda, dY, Dequantize(cuda), dX, accumulate);
        cuda.Scratch.Rewind(start);
    }

    /// <summary>The whole matrix in scratch memory, in the type that the card multiplies in, rounded once: one pass, which many rows of x share.</summary>
    private protected abstract TensorView Dequantize(CudaDevice cuda);

    // Apart from Multiply: a lambda there would allocate its closure in inference too.
    private void Record(TensorView x, TensorView y, Tape tape) => tape.Record(_names.Recorded, y, () => Backward(x, y, tape));

    // dX = dY·W
    private void Backward(TensorView x, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        TensorView dX = tape.GradientFor(x, out bool accumulate);
        BackwardOn(_names.Backward, dY, dX, accumulate);
    }

    private void BackwardOn(string operation, TensorView dY, TensorView dX, bool accumulate)
    {
        if (dY.Device is CpuDevice cpu) BackwardCpu(cpu, dY, dX, accumulate);
        else if (dY.Device is CudaDevice cuda) BackwardCuda(cuda, dY, dX, accumulate);
        else throw Require.NoSuchDevice(operation, dY.Device);
    }

    /// <summary>How a format's products are called in messages and on a tape.</summary>
    private protected sealed class ProductNames(string operation, string recorded)
    {
        public string Forward { get; } = operation + ".Forward";

        public string ForwardInOut { get; } = operation + ".ForwardInOut";

        public string Backward { get; } = operation + ".Backward";

        public string Recorded => recorded;
    }
}
