using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace GemmaCore.Testing;

/// <summary>One array of a golden file.</summary>
/// <param name="Shape">Extents, outermost first.</param>
/// <param name="DType">The safetensors name: F32, F16, BF16, I64, I32, I8, U8, BOOL or F64.</param>
/// <param name="Bytes">The array as it lies in the file, little endian.</param>
public sealed record GoldenTensor(long[] Shape, string DType, byte[] Bytes)
{
    private float[]? _floats;

    /// <summary>Number of elements.</summary>
    public int Count => (int)Shape.Aggregate(1L, (product, extent) => product * extent);

    /// <summary>Elements widened to float32, whatever the file holds; converted once.</summary>
    public float[] Floats => _floats ??= DType switch
    {
        "F32" => MemoryMarshal.Cast<byte, float>(Bytes).ToArray(),
        "F64" => Convert<double>(value => (float)value),
        "F16" => Convert<Half>(value => (float)value),
        "BF16" => Convert<ushort>(value => BitConverter.UInt32BitsToSingle((uint)value << 16)),
        "I64" => Convert<long>(value => value),
        "I32" => Convert<int>(value => value),
        "I8" => Convert<sbyte>(value => value),
        "U8" or "BOOL" => Convert<byte>(value => value),
        _ => throw new NotSupportedException($"golden dtype {DType}"),
    };

    /// <summary>Elements of an integer array.</summary>
    public long[] Integers => DType switch
    {
        "I64" => MemoryMarshal.Cast<byte, long>(Bytes).ToArray(),
        "I32" => Convert<int, long>(value => value),
        "I8" => Convert<sbyte, long>(value => value),
        "U8" or "BOOL" => Convert<byte, long>(value => value),
        _ => throw new NotSupportedException($"golden dtype {DType} is not an integer type"),
    };

    private float[] Convert<T>(Func<T, float> widen) where T : unmanaged => Convert<T, float>(widen);

    private TOut[] Convert<TIn, TOut>(Func<TIn, TOut> widen) where TIn : unmanaged
    {
        var elements = MemoryMarshal.Cast<byte, TIn>(Bytes);
        var widened = new TOut[elements.Length];
        for (int i = 0; i < elements.Length; i++) widened[i] = widen(elements[i]);
        return widened;
    }
}

/// <summary>A second, deliberately plain safetensors reader: product code must not grade itself.</summary>
public static class GoldenTensors
{
    /// <summary>Every array of a golden safetensors file, by name.</summary>
    public static Dictionary<string, GoldenTensor> Load(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        int headerBytes = (int)BinaryPrimitives.ReadUInt64LittleEndian(file);
        using var header = JsonDocument.Parse(file.AsMemory(8, headerBytes));
        var tensors = new Dictionary<string, GoldenTensor>();
        foreach (var entry in header.RootElement.EnumerateObject())
        {
            if (entry.Name == "__metadata__") continue;
            long[] shape = [.. entry.Value.GetProperty("shape").EnumerateArray().Select(extent => extent.GetInt64())];
            var offsets = entry.Value.GetProperty("data_offsets");
            int begin = 8 + headerBytes + offsets[0].GetInt32(), end = 8 + headerBytes + offsets[1].GetInt32();
            tensors[entry.Name] = new GoldenTensor(shape, entry.Value.GetProperty("dtype").GetString()!, file[begin..end]);
        }
        return tensors;
    }
}
