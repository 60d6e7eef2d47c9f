using GemmaCore.Checkpoints;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// Weight matrices that a checkpoint has in codes, of bitsandbytes (4 and 8 bits) or in groups of 8 bits: recognised tensor by tensor by what stands beside them, never
/// by name. On the CPU they stay in the mapped file, a card gets a copy.
/// </summary>
internal sealed class StoredCodes(CheckpointFolder checkpoint, Device device, List<DeviceBuffer> owned)
{
    /// <summary>What follows the name of an 8-bit tensor in that of its scales, as in files of compressed-tensors.</summary>
    public const string ScaleSuffix = "_scale";

    private const string Again = "download the checkpoint again, or quantise the original model";

    /// <summary>The matrix <paramref name="path"/><c>.weight</c>; null where the checkpoint has it dense, or not at all.</summary>
    /// <param name="path">Module path.</param>
    /// <param name="shape">[out, in].</param>
    /// <exception cref="CheckpointException">It is damaged, of another shape, or quantised in a way that is not supported.</exception>
    public WeightMatrix? Read(string path, Shape shape)
    {
        string name = path + ".weight";
        if (checkpoint.TryGet($"{name}{CheckpointFolder.StateKey}nf4", out TensorView state)) return ReadNf4(name, shape, state);
        if (checkpoint.TryGet($"{name}{CheckpointFolder.StateKey}fp4", out _)) throw Refuse(name, "is FP4, which is not supported; quantise the original model to NF4");
        if (checkpoint.TryGet(path + ".SCB", out TensorView absmax)) return ReadInt8(path, shape, absmax);
        if (checkpoint.TryGet(name + ScaleSuffix, out TensorView scales)) return ReadInt8Group(name, shape, scales);
        RefuseForeign(path);
        return null;
    }

    private Nf4Matrix ReadNf4(string name, Shape shape, TensorView state)
    {
        Nf4State read = Nf4State.Parse(Bytes(state), text => Refuse(name, text));
        if (read.Shape != $"[{shape[0]}, {shape[1]}]") throw Refuse(name, $"is {read.Shape} by its quant_state, expected {shape}");
        long blocks = Nf4.BlockCount(shape.ElementCount);
        TensorView codes = PackedCodes(name, (shape.ElementCount + 1) / 2);
        if (!Part(name, ".quant_map", DType.F32, Nf4.Values.Length).ToFloats().SequenceEqual(Nf4.Values)) throw Refuse(name, "has another quant_map than NF4");
        if (read.NestedOffset is null && checkpoint.Names.Contains(name + ".nested_absmax"))
            throw Refuse(name, $"has no nested_offset in its quant_state, but a nested_absmax beside it; {Again}");
        if (read.NestedOffset is not { } offset) return new Nf4Matrix(shape, OnDevice(codes), new Nf4Absmax(OnDevice(Part(name, ".absmax", DType.F32, blocks))));
        long nested = (blocks + Nf4.NestedBlockSize - 1) / Nf4.NestedBlockSize;
        return new Nf4Matrix(
            shape, OnDevice(codes),
            new Nf4Absmax(
                OnDevice(Part(name, ".absmax", DType.U8, blocks)), OnDevice(Part(name, ".nested_absmax", DType.F32, nested)),
                OnDevice(Part(name, ".nested_quant_map", DType.F32, 256)), offset));
    }

    private Int8Matrix ReadInt8(string path, Shape shape, TensorView absmax)
    {
        string name = path + ".weight";
        TensorView codes = Part(name, "", DType.I8, shape.ElementCount);
        if (absmax.DType != DType.F32 || absmax.Shape.ElementCount != shape[0]) throw Refuse(name, $"has SCB {absmax}, expected f32[{shape[0]}]");
        // Old versions of bitsandbytes could save the order that their kernels for one kind of card wanted.
        if (checkpoint.TryGet(path + ".weight_format", out TensorView layout) && Bytes(layout).ContainsAnyExcept((byte)0))
            throw Refuse(name, "has a weight_format other than 0: its elements are not row after row; save it again with a newer bitsandbytes");
        RequireFinite(path + ".SCB", absmax);
        return new Int8Matrix(OnDevice(codes.Reshape(shape)), OnDevice(absmax));
    }

    private Int8GroupMatrix ReadInt8Group(string name, Shape shape, TensorView scales)
    {
        TensorView codes = Part(name, "", DType.I8, shape.ElementCount);
        var expected = new Shape(shape[0], Int8Group.Count(shape[1]));
        if (scales.DType != DType.F16 || scales.Shape != expected) throw Refuse(name, $"has '{checkpoint.Spelled(name)}{ScaleSuffix}' {scales}, expected f16{expected}: one for every {Int8Group.Size} inputs");
        if (checkpoint.TryGet(name + "_zero_point", out TensorView zero) && Bytes(zero).ContainsAnyExcept((byte)0))
            throw Refuse(name, "is asymmetric (it has a weight_zero_point), which is not supported");
        if (checkpoint.Names.Contains(name + "_g_idx")) throw Refuse(name, "has its inputs in groups by weight_g_idx, which is not supported");
        RequireFinite(name + ScaleSuffix, scales);
        return new Int8GroupMatrix(OnDevice(codes.Reshape(shape)), OnDevice(scales));
    }

    // The elements of a file may be of any type (bnb_4bit_quant_storage; FSDP wants that of the other weights): the bytes are the same.
    private TensorView PackedCodes(string name, long bytes)
    {
        TensorView part = Require(name, "");
        return part.ByteCount == bytes
            ? new TensorView(part.Pointer, new Shape(checked((int)bytes)), DType.U8, part.Device)
            : throw Refuse(name, $"has {part}, expected {bytes} bytes of codes");
    }

    // What other programs write has no state that is read here, and a missing tensor would be the least of what is wrong.
    private void RefuseForeign(string path)
    {
        string name = path + ".weight";
        foreach (string packed in (string[])[path + ".qweight", name + "_packed"])
        {
            if (checkpoint.Names.Contains(packed))
                throw Refuse(packed, "is packed as GPTQ, AWQ or compressed-tensors have it, which is not supported; use the original model with --quantize nf4 or int8");
        }
    }

    private TensorView Part(string name, string suffix, DType type, long count)
    {
        TensorView part = Require(name, suffix);
        if (part.DType != type || part.Shape.ElementCount != count) throw Refuse(name, $"has '{checkpoint.Spelled(name)}{suffix}' {part}, expected {count} elements of {type}");
        if (type.IsFloat()) RequireFinite(name + suffix, part);
        return part;
    }

    private TensorView Require(string name, string suffix)
    {
        if (checkpoint.TryGet(name + suffix, out TensorView part)) return part;
        throw Refuse(name, suffix.Length == 0 ? $"is missing, though what belongs to it is there; {Again}" : $"lacks '{checkpoint.Spelled(name)}{suffix}'; {Again}");
    }

    // A magnitude that is none would spoil a block, a row or the whole matrix.
    private void RequireFinite(string name, TensorView stored)
    {
        if (!device.IsRehearsal) checkpoint.RequireFinite(name, stored);
    }

    private static ReadOnlySpan<byte> Bytes(TensorView view) => new TensorView(view.Pointer, new Shape(checked((int)view.ByteCount)), DType.U8, view.Device).AsSpan<byte>();

    private CheckpointException Refuse(string name, string reason) => new($"{checkpoint.Folder}: tensor '{checkpoint.Spelled(name)}' {reason}");

    private TensorView OnDevice(TensorView stored)
    {
        if (device is CpuDevice) return stored;
        DeviceBuffer buffer = DeviceBuffer.CopyOf(device, stored);
        owned.Add(buffer);
        return buffer.View;
    }
}
