using System.Runtime.InteropServices;
using System.Text.Json;
using GemmaCore.Checkpoints;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// The weight matrices of linear layers, or of embeddings and head: dense, pre-quantised by bitsandbytes (recognised tensor by tensor by the state that stands beside them, never by
/// name), or quantised here while they are loaded, one at a time.
/// </summary>
internal sealed class LinearWeights(CheckpointFolder checkpoint, Device device, WeightFormat format, List<DeviceBuffer> owned)
{
    private const string StateKey = ".quant_state.bitsandbytes__";

    private const int SlabElements = 1 << 24;

    /// <summary>The matrix <paramref name="path"/><c>.weight</c>.</summary>
    /// <param name="path">Module path.</param>
    /// <param name="shape">[out, in].</param>
    /// <param name="dense">Reads it as plain elements on the device.</param>
    /// <exception cref="CheckpointException">It is missing, of another shape, or quantised in a way that is not supported.</exception>
    public WeightMatrix Read(string path, Shape shape, Func<TensorView> dense)
    {
        string name = path + ".weight";
        if (checkpoint.TryGet($"{name}{StateKey}nf4", out TensorView state)) return ReadNf4(name, shape, state);
        if (checkpoint.TryGet($"{name}{StateKey}fp4", out _)) throw Refuse(name, "is FP4, which is not supported; quantise the original model to NF4");
        if (checkpoint.TryGet(path + ".SCB", out TensorView absmax)) return ReadInt8(name, shape, absmax);
        return format switch
        {
            WeightFormat.Nf4 => QuantizeNf4(checkpoint.Require(name, shape), nested: true),
            WeightFormat.Nf4Plain => QuantizeNf4(checkpoint.Require(name, shape), nested: false),
            WeightFormat.Int8 => QuantizeInt8(checkpoint.Require(name, shape)),
            _ => new DenseMatrix(dense()),
        };
    }

    private Nf4Matrix ReadNf4(string name, Shape shape, TensorView state)
    {
        Nf4State read = Nf4State.Parse(state.AsSpan<byte>(), text => Refuse(name, text));
        if (!read.Shape.SequenceEqual([shape[0], shape[1]])) throw Refuse(name, $"is [{string.Join(", ", read.Shape)}] by its quant_state, expected {shape}");
        long blocks = Nf4.BlockCount(shape.ElementCount);
        TensorView codes = Part(name, "", DType.U8, (shape.ElementCount + 1) / 2);
        if (!Part(name, ".quant_map", DType.F32, Nf4.Values.Length).ToFloats().SequenceEqual(Nf4.Values)) throw Refuse(name, "has another quant_map than NF4");
        if (read.NestedOffset is not { } offset) return new Nf4Matrix(shape, OnDevice(codes), new Nf4Absmax(OnDevice(Part(name, ".absmax", DType.F32, blocks))));
        long nested = (blocks + Nf4.NestedBlockSize - 1) / Nf4.NestedBlockSize;
        return new Nf4Matrix(
            shape, OnDevice(codes),
            new Nf4Absmax(
                OnDevice(Part(name, ".absmax", DType.U8, blocks)), OnDevice(Part(name, ".nested_absmax", DType.F32, nested)),
                OnDevice(Part(name, ".nested_quant_map", DType.F32, 256)), offset));
    }

    private Int8Matrix ReadInt8(string name, Shape shape, TensorView absmax)
    {
        TensorView codes = Part(name, "", DType.I8, shape.ElementCount);
        if (absmax.DType != DType.F32 || absmax.Shape.ElementCount != shape[0]) throw Refuse(name, $"has SCB {absmax}, expected f32[{shape[0]}]");
        return new Int8Matrix(OnDevice(codes.Reshape(shape)), OnDevice(absmax));
    }

    private Nf4Matrix QuantizeNf4(TensorView stored, bool nested)
    {
        float[] values = stored.ToFloats();
        int blocks = (int)Nf4.BlockCount(values.Length);
        byte[] codes = new byte[(values.Length + 1) / 2], absmaxCodes = new byte[blocks];
        float[] absmax = new float[blocks], scales = new float[(blocks + Nf4.NestedBlockSize - 1) / Nf4.NestedBlockSize];
        InParts(blocks, (first, count) =>
        {
            int begin = first * Nf4.BlockSize, length = Math.Min(values.Length, (first + count) * Nf4.BlockSize) - begin;
            Nf4.Quantize(values.AsSpan(begin, length), codes.AsSpan(begin / 2, (length + 1) / 2), absmax.AsSpan(first, count));
        });
        TensorView packed = Own(codes, new Shape(codes.Length), DType.U8);
        if (!nested) return new Nf4Matrix(stored.Shape, packed, new Nf4Absmax(Own(absmax)));
        float offset = Nf4.QuantizeAbsmax(absmax, absmaxCodes, scales);
        return new Nf4Matrix(
            stored.Shape, packed, new Nf4Absmax(Own(absmaxCodes, new Shape(blocks), DType.U8), Own(scales), Own(Nf4.NestedValues.AsSpan()), offset));
    }

    private Int8Matrix QuantizeInt8(TensorView stored)
    {
        int columns = stored.Shape[1];
        float[] absmax = new float[stored.Shape[0]];
        TensorView codes = Room(stored.Shape, DType.I8);
        InSlabs(stored, codes, (values, target, row) => Int8.Quantize(values, columns, target, absmax.AsSpan(row, values.Length / columns)));
        return new Int8Matrix(codes, Own(absmax));
    }

    // A slab of rows after the other, so that the f32 values of a large table never exist together.
    private void InSlabs(TensorView stored, TensorView codes, QuantizeRows quantize)
    {
        int rows = stored.Shape[0], columns = stored.Shape[1], step = Math.Max(1, SlabElements / Math.Max(1, columns));
        for (int slab = 0; slab < rows; slab += step)
        {
            int first = slab, slabRows = Math.Min(step, rows - slab);
            float[] values = stored.Slice(first, slabRows).ToFloats();
            var target = new sbyte[values.Length];
            InParts(slabRows, (row, count) => quantize(values.AsSpan(row * columns, count * columns), target.AsSpan(row * columns, count * columns), first + row));
            device.CopyFromHost(MemoryMarshal.AsBytes<sbyte>(target), codes.Slice(first, slabRows));
        }
    }

    /// <summary>Rounds the rows of a matrix from <paramref name="row"/> on.</summary>
    private delegate void QuantizeRows(ReadOnlySpan<float> values, Span<sbyte> codes, int row);

    // Rounding a large model takes minutes on one core. Parts are whole blocks or rows, so they do not touch each other's.
    private static void InParts(int count, Action<int, int> work)
    {
        int parts = Math.Min(count, 4 * Environment.ProcessorCount);
        Parallel.For(0, parts, part =>
        {
            int first = (int)((long)count * part / parts), end = (int)((long)count * (part + 1) / parts);
            work(first, end - first);
        });
    }

    private TensorView Part(string name, string suffix, DType type, long count)
    {
        if (!checkpoint.TryGet(name + suffix, out TensorView part)) throw Refuse(name, $"lacks '{name}{suffix}'");
        if (part.DType != type || part.Shape.ElementCount != count) throw Refuse(name, $"has '{name}{suffix}' {part}, expected {count} elements of {type}");
        return part;
    }

    private CheckpointException Refuse(string name, string reason) => new($"{checkpoint.Folder}: tensor '{name}' {reason}");

    private TensorView OnDevice(TensorView stored)
    {
        if (device is CpuDevice) return stored;
        DeviceBuffer buffer = DeviceBuffer.CopyOf(device, stored);
        owned.Add(buffer);
        return buffer.View;
    }

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

    /// <summary>What bitsandbytes notes beside a 4-bit tensor.</summary>
    /// <param name="Shape">Sizes before packing.</param>
    /// <param name="NestedOffset">Mean of the magnitudes when they are quantised too.</param>
    private sealed record Nf4State(IReadOnlyList<int> Shape, float? NestedOffset)
    {
        public static Nf4State Parse(ReadOnlySpan<byte> json, Func<string, CheckpointException> refuse)
        {
            try
            {
                var reader = new Utf8JsonReader(json);
                using JsonDocument document = JsonDocument.ParseValue(ref reader);
                JsonElement root = document.RootElement;
                Expect(root, "quant_type", "nf4", refuse);
                Expect(root, "blocksize", $"{Nf4.BlockSize}", refuse);
                int[] shape = [.. root.GetProperty("shape").EnumerateArray().Select(size => size.GetInt32())];
                if (!root.TryGetProperty("nested_offset", out JsonElement offset)) return new Nf4State(shape, null);
                Expect(root, "nested_blocksize", $"{Nf4.NestedBlockSize}", refuse);
                Expect(root, "nested_dtype", "float32", refuse);
                return new Nf4State(shape, (float)offset.GetDouble());
            }
            catch (Exception error) when (error is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
            {
                throw refuse($"has a quant_state that cannot be read: {error.Message}");
            }
        }

        private static void Expect(JsonElement root, string key, string value, Func<string, CheckpointException> refuse)
        {
            string found = root.TryGetProperty(key, out JsonElement element) ? element.ToString() : "nothing";
            if (found != value) throw refuse($"has {key} {found} in its quant_state, expected {value}");
        }
    }
}
