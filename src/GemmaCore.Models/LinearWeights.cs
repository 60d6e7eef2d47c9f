using System.Runtime.InteropServices;
using GemmaCore.Checkpoints;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// The weight matrices of linear layers, or of embeddings and head: dense, pre-quantised (<see cref="StoredCodes"/>), or quantised here while they are loaded, one at a
/// time.
/// </summary>
internal sealed class LinearWeights(CheckpointFolder checkpoint, Device device, WeightFormat format, List<DeviceBuffer> owned)
{
    private const int SlabElements = 1 << 24;

    // Elements that are widened at a time: their arrays are small enough for the collector's nursery. Whole matrices of f32 were garbage faster than it was taken away.
    private const int WidenedElements = 1 << 14;

    private readonly StoredCodes _stored = new(checkpoint, device, owned);
    private byte[] _codes = [];

    /// <summary>The matrix <paramref name="path"/><c>.weight</c>.</summary>
    /// <param name="path">Module path.</param>
    /// <param name="shape">[out, in].</param>
    /// <param name="dense">Reads it as plain elements on the device.</param>
    /// <exception cref="CheckpointException">It is missing, of another shape, or quantised in a way that is not supported.</exception>
    public WeightMatrix Read(string path, Shape shape, Func<TensorView> dense)
    {
        WeightMatrix matrix = _stored.Read(path, shape) ?? Quantize(path, shape, dense);
        (matrix as QuantizedMatrix)?.Arrange();
        return matrix;
    }

    private WeightMatrix Quantize(string path, Shape shape, Func<TensorView> dense)
    {
        string name = path + ".weight";
        return (checkpoint.StaysDense(path) ? WeightFormat.AsStored : format) switch
        {
            WeightFormat.Nf4 => QuantizeNf4(name, checkpoint.Require(name, shape), nested: true),
            WeightFormat.Nf4Plain => QuantizeNf4(name, checkpoint.Require(name, shape), nested: false),
            WeightFormat.Int8 => QuantizeInt8(name, checkpoint.Require(name, shape)),
            WeightFormat.Int8Group => QuantizeInt8Group(name, checkpoint.Require(name, shape)),
            _ => new DenseMatrix(dense()),
        };
    }

    // For a rehearsal, which is about the room that the parts take.
    private Nf4Matrix RoomForNf4(Shape shape, bool nested)
    {
        long count = shape.ElementCount;
        int blocks = (int)Nf4.BlockCount(count);
        TensorView packed = Room(new Shape((int)((count + 1) / 2)), DType.U8);
        if (!nested) return new Nf4Matrix(shape, packed, new Nf4Absmax(Room(new Shape(blocks), DType.F32)));
        return new Nf4Matrix(shape, packed, new Nf4Absmax(
            Room(new Shape(blocks), DType.U8), Room(new Shape((blocks + Nf4.NestedBlockSize - 1) / Nf4.NestedBlockSize), DType.F32),
            Room(new Shape(Nf4.NestedValues.Length), DType.F32)));
    }

    private Nf4Matrix QuantizeNf4(string name, TensorView stored, bool nested)
    {
        if (device.IsRehearsal) return RoomForNf4(stored.Shape, nested);
        checkpoint.RequireFinite(name, stored); // rounding would make ordinary codes of what is none
        int elements = checked((int)stored.Shape.ElementCount), blocks = (int)Nf4.BlockCount(elements), bytes = (elements + 1) / 2;
        TensorView flat = stored.Reshape(new Shape(elements));
        byte[] codes = Codes(bytes), absmaxCodes = new byte[blocks];
        float[] absmax = new float[blocks], scales = new float[(blocks + Nf4.NestedBlockSize - 1) / Nf4.NestedBlockSize];
        InParts(blocks, WidenedElements / Nf4.BlockSize, (first, count) =>
        {
            int begin = first * Nf4.BlockSize, length = Math.Min(elements - begin, count * Nf4.BlockSize);
            Nf4.Quantize(flat.Slice(begin, length).ToFloats(), codes.AsSpan(begin / 2, (length + 1) / 2), absmax.AsSpan(first, count));
        });
        TensorView packed = Own(codes.AsSpan(0, bytes), new Shape(bytes), DType.U8);
        if (!nested) return new Nf4Matrix(stored.Shape, packed, new Nf4Absmax(Own(absmax)));
        float offset = Nf4.QuantizeAbsmax(absmax, absmaxCodes, scales);
        return new Nf4Matrix(
            stored.Shape, packed, new Nf4Absmax(Own(absmaxCodes, new Shape(blocks), DType.U8), Own(scales), Own(Nf4.NestedValues.AsSpan()), offset));
    }

    private Int8Matrix QuantizeInt8(string name, TensorView stored)
    {
        if (device.IsRehearsal) return new Int8Matrix(Room(stored.Shape, DType.I8), Room(new Shape(stored.Shape[0]), DType.F32));
        checkpoint.RequireFinite(name, stored);
        int columns = stored.Shape[1];
        float[] absmax = new float[stored.Shape[0]];
        TensorView codes = Room(stored.Shape, DType.I8);
        InSlabs(stored, codes, (values, target, row) => Int8.Quantize(values, columns, target, absmax.AsSpan(row, values.Length / columns)));
        return new Int8Matrix(codes, Own(absmax));
    }

    private Int8GroupMatrix QuantizeInt8Group(string name, TensorView stored)
    {
        if (!device.IsRehearsal) checkpoint.RequireFinite(name, stored);
        int columns = stored.Shape[1], groups = Int8Group.Count(columns);
        var scales = new Half[stored.Shape[0] * groups];
        TensorView codes = Room(stored.Shape, DType.I8);
        InSlabs(stored, codes, (values, target, row) => Int8Group.Quantize(values, columns, target, scales.AsSpan(row * groups, values.Length / columns * groups)));
        if (Array.Exists(scales, Half.IsInfinity)) throw Refuse(name, "has elements too large for fp16 scales; use --quantize int8 or nf4");
        return new Int8GroupMatrix(codes, Own(MemoryMarshal.AsBytes<Half>(scales), new Shape(stored.Shape[0], groups), DType.F16));
    }

    // A slab of rows after the other, so that the f32 values of a large table never exist together.
    private void InSlabs(TensorView stored, TensorView codes, QuantizeRows quantize)
    {
        int rows = stored.Shape[0], columns = stored.Shape[1], step = Math.Max(1, SlabElements / Math.Max(1, columns));
        for (int slab = 0; slab < rows; slab += step)
        {
            int first = slab, slabRows = Math.Min(step, rows - slab);
            byte[] target = Codes(slabRows * columns);
            InParts(slabRows, Math.Max(1, WidenedElements / Math.Max(1, columns)), (row, count) => quantize(
                stored.Slice(first + row, count).ToFloats(), MemoryMarshal.Cast<byte, sbyte>(target.AsSpan(row * columns, count * columns)), first + row));
            device.CopyFromHost(target.AsSpan(0, slabRows * columns), codes.Slice(first, slabRows));
        }
    }

    /// <summary>Rounds the rows of a matrix from <paramref name="row"/> on.</summary>
    private delegate void QuantizeRows(ReadOnlySpan<float> values, Span<sbyte> codes, int row);

    // Host memory for the codes of one matrix after the other.
    private byte[] Codes(int count)
    {
        if (_codes.Length < count) _codes = new byte[count];
        return _codes;
    }

    // On all processors, some whole blocks or rows at a time, so that parts do not touch each other's bytes.
    private static void InParts(int count, int step, Action<int, int> work) =>
        Parallel.For(0, (count + step - 1) / step, part => work(part * step, Math.Min(step, count - part * step)));

    private CheckpointException Refuse(string name, string reason) => new($"{checkpoint.Folder}: tensor '{name}' {reason}");

    private TensorView Own(ReadOnlySpan<float> values) => Own(MemoryMarshal.AsBytes(values), new Shape(values.Length), DType.F32);

    private TensorView Own(ReadOnlySpan<byte> bytes, Shape shape, DType type)
    {
        TensorView view = Room(shape, type);
        device.CopyFromHost(bytes, view);
        return view;
    }

    private TensorView Room(Shape shape, DType type)
    {
        var buffer = new DeviceBuffer(device, shape, type);
        owned.Add(buffer);
        return buffer.View;
    }
}
