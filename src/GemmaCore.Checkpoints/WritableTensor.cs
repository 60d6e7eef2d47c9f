using System.Runtime.InteropServices;
using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints;

/// <summary>A tensor to be written; its bytes are produced when their turn comes, so a model larger than memory can be written.</summary>
/// <param name="Name">Name in the file.</param>
/// <param name="DType">Element type.</param>
/// <param name="Shape">Sizes.</param>
/// <param name="Write">Writes exactly the tensor's bytes.</param>
public sealed record WritableTensor(string Name, DType DType, Shape Shape, Action<Stream> Write)
{
    // Elements converted at a time.
    private const int ChunkElements = 1 << 20;

    /// <summary>Bytes of the tensor.</summary>
    public long ByteCount => Shape.ElementCount * DType.Size();

    /// <summary>A tensor in host memory or in a mapped file, written as it is.</summary>
    public static WritableTensor Of(string name, TensorView view) => new(name, view.DType, view.Shape, stream =>
    {
        long bytes = view.ByteCount;
        for (long at = 0; at < bytes; at += ChunkElements)
        {
            int length = (int)Math.Min(ChunkElements, bytes - at);
            stream.Write(new TensorView(view.Pointer + (nint)at, new Shape(length), DType.U8, view.Device).AsSpan<byte>());
        }
    });

    /// <summary>A tensor whose floats are made piece by piece and rounded to nearest even where <paramref name="dtype"/> is narrower.</summary>
    /// <param name="name">Name in the file.</param>
    /// <param name="dtype">F32, F16 or BF16.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="fill">Fills the memory with the values from the given flat index on; called from several threads, in any order.</param>
    public static WritableTensor OfFloats(string name, DType dtype, Shape shape, Action<long, Memory<float>> fill)
    {
        ArgumentNullException.ThrowIfNull(fill);
        if (!dtype.IsFloat()) throw new ArgumentException($"{name}: {dtype} cannot hold floats", nameof(dtype));
        return new WritableTensor(name, dtype, shape, stream =>
        {
            int threads = Environment.ProcessorCount;
            long count = shape.ElementCount;
            // One chunk a thread, then one write: the memory needed stays a few megabytes a thread.
            byte[][] chunks = new byte[threads][];
            for (long start = 0; start < count; start += (long)threads * ChunkElements)
            {
                long round = start;
                Parallel.For(0, threads, thread =>
                {
                    long first = round + (long)thread * ChunkElements;
                    int length = (int)Math.Clamp(count - first, 0, ChunkElements);
                    var values = new float[length];
                    if (length > 0) fill(first, values);
                    chunks[thread] = Convert(values, dtype);
                });
                foreach (byte[] chunk in chunks) stream.Write(chunk);
            }
        });
    }

    private static byte[] Convert(float[] values, DType dtype)
    {
        byte[] bytes = new byte[(long)values.Length * dtype.Size()];
        switch (dtype)
        {
            case DType.BF16:
                Span<ushort> upper = MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan());
                for (int i = 0; i < values.Length; i++) upper[i] = BFloat16.FromSingle(values[i]);
                break;
            case DType.F16:
                Span<Half> halves = MemoryMarshal.Cast<byte, Half>(bytes.AsSpan());
                for (int i = 0; i < values.Length; i++) halves[i] = (Half)values[i];
                break;
            default:
                MemoryMarshal.AsBytes<float>(values).CopyTo(bytes);
                break;
        }

        return bytes;
    }
}
