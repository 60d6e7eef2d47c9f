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

    /// <summary>The codes, in the format's order or, where <see cref="InTiles"/> holds, in tiles.</summary>
    public abstract TensorView Codes { get; }

    /// <summary>True when codes and magnitudes lie in the order in which a card's kernels read them fastest.</summary>
    public bool InTiles { get; private set; }

    /// <summary>
    /// Puts codes and magnitudes, whose storage no other matrix may share, into the order in which a card's kernels read them fastest. Only there, and where the
    /// matrix is whole tiles of 16 outputs by 64 inputs; products of others write it as plain elements first.
    /// </summary>
    public void Arrange()
    {
        if (InTiles || Codes.Device is not CudaDevice cuda || !CodeTiles.Suit(Shape)) return;
        CodeTiles.ArrangeCodes(cuda, Codes, Shape);
        if (!Magnitudes.IsEmpty) CodeTiles.ArrangeMagnitudes(cuda, Magnitudes, Shape[0]);
        // The copies' memory is the card's again before the next matrix comes.
        cuda.Synchronize();
        InTiles = true;
    }

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

    /// <summary>y = x·wᵀ + bias of plain elements that are written first.</summary>
    private protected virtual void ForwardDense(CudaDevice cuda, TensorView x, TensorView bias, TensorView y)
    {
        Arena.Mark start = cuda.Scratch.Position;
        Matmul.NT(cuda, x, Dequantize(cuda), y, bias);
        cuda.Scratch.Rewind(start);
    }

    /// <summary>dX = dY·w (+ dX) of the same.</summary>
    private protected virtual void BackwardDense(CudaDevice cuda, TensorView dY, TensorView dX, bool accumulate)
    {
        Arena.Mark start = cuda.Scratch.Position;
        Matmul.NN(cuda, dY, Dequantize(cuda), dX, accumulate);
        cuda.Scratch.Rewind(start);
    }

    /// <summary>What multiplies by the codes in tiles.</summary>
    private protected abstract CodeKernels Kernels { get; }

    /// <summary>What the codes are multiplied by.</summary>
    internal abstract CodeScales CodeScales { get; }

    /// <summary>Magnitudes of which a row has several, whose order is that of the codes; default where a row has one.</summary>
    private protected abstract TensorView Magnitudes { get; }

    /// <summary>A host copy of the codes, in the format's order.</summary>
    private protected byte[] CodesOnHost() => InTiles ? CodeTiles.CodesInRows(Codes, Shape) : BytesOnHost(Codes);

    /// <summary>The same of <see cref="Magnitudes"/>.</summary>
    private protected byte[] MagnitudesOnHost() => InTiles ? CodeTiles.MagnitudesInRows(Magnitudes, Shape[0]) : BytesOnHost(Magnitudes);

    private static byte[] BytesOnHost(TensorView view)
    {
        byte[] bytes = new byte[view.ByteCount];
        view.Device.CopyToHost(view, bytes);
        return bytes;
    }

    /// <summary>The whole matrix in scratch memory, in the type that the card multiplies in, rounded once: one pass, which many rows of x share.</summary>
    private protected abstract TensorView Dequantize(CudaDevice cuda);

    private void ForwardCuda(CudaDevice cuda, TensorView x, TensorView bias, TensorView y)
    {
        if (InTiles && QuantizedRows.Suit(x)) Kernels.Rows.Forward(cuda, x, this, bias, y);
        else if (InTiles && QuantizedTiles.Suit(cuda, x.Shape.Rows)) Kernels.Tiles.Run(cuda, MatmulLayout.NT, x, this, bias, y, accumulate: false);
        else ForwardDense(cuda, x, bias, y);
    }

    private void BackwardCuda(CudaDevice cuda, TensorView dY, TensorView dX, bool accumulate)
    {
        if (InTiles && QuantizedTiles.Suit(cuda, dY.Shape.Rows)) Kernels.Tiles.Run(cuda, MatmulLayout.NN, dY, this, default, dX, accumulate);
        else BackwardDense(cuda, dY, dX, accumulate);
    }

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
