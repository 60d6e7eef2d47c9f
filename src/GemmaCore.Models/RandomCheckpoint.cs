using System.Runtime.InteropServices;
using GemmaCore.Checkpoints;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>Writes a checkpoint of reproducible random weights in the exact Hugging Face layout.</summary>
public static class RandomCheckpoint
{
    private const int ChunkElements = 1 << 20;

    /// <summary>Writes <c>config.json</c> and the weights, tensor by tensor: memory stays small whatever the model's size.</summary>
    /// <param name="preset">Shape.</param>
    /// <param name="folder">Created if needed.</param>
    /// <param name="seed">Seed of the formula (see <see cref="ReproducibleWeights"/>).</param>
    /// <param name="dtype">F32, F16 or BF16.</param>
    /// <param name="starting">Called before each tensor; what it throws stops the writing, and the weights written so far are removed.</param>
    public static void Write(ModelPreset preset, string folder, ulong seed, DType dtype, Action<WritableTensor>? starting = null)
    {
        ArgumentNullException.ThrowIfNull(preset);
        if (!dtype.IsFloat()) throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "expected F32, F16 or BF16");
        SafetensorsWriter.WriteCheckpoint(folder, [.. preset.Tensors().Select(tensor => Plan(tensor, preset.IsLlama, seed, dtype))], starting: starting);
        AtomicFile.WriteAllText(Path.Combine(folder, "config.json"), preset.ConfigText);
    }

    /// <summary>The plan of one tensor.</summary>
    public static WritableTensor Plan(PlannedTensor tensor, bool llama, ulong seed, DType dtype)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        Shape shape = Shape.From([.. tensor.Sizes.Select(size => (long)size)]);
        (double a, double b) = ReproducibleWeights.IntervalOf(tensor.Name, tensor.Sizes, llama);
        return new WritableTensor(tensor.Name, dtype, shape, stream => WriteValues(stream, tensor.Name, seed, a, b, shape.ElementCount, dtype));
    }

    // Chunks are computed in parallel, a few at a time, and written in order.
    private static void WriteValues(Stream stream, string name, ulong seed, double a, double b, long count, DType dtype)
    {
        int width = Math.Max(1, Environment.ProcessorCount) * 2;
        var chunks = new byte[width][];
        for (long first = 0; first < count; first += (long)width * ChunkElements)
        {
            long start = first;
            Parallel.For(0, width, i =>
            {
                long at = start + (long)i * ChunkElements;
                chunks[i] = at < count ? Chunk(name, seed, a, b, at, (int)Math.Min(ChunkElements, count - at), dtype) : [];
            });
            foreach (byte[] chunk in chunks) stream.Write(chunk);
        }
    }

    private static byte[] Chunk(string name, ulong seed, double a, double b, long start, int count, DType dtype)
    {
        var values = new float[count];
        ReproducibleWeights.Fill(name, seed, a, b, start, values);
        if (dtype == DType.F32) return MemoryMarshal.AsBytes<float>(values).ToArray();
        var bytes = new byte[count * 2];
        Span<ushort> halves = MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan());
        for (int i = 0; i < count; i++)
            halves[i] = dtype == DType.BF16 ? BFloat16.FromSingle(values[i]) : BitConverter.HalfToUInt16Bits((Half)values[i]);
        return bytes;
    }
}
