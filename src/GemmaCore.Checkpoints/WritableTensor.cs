using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints;

/// <summary>A tensor to be written; its bytes are produced when their turn comes, so a model larger than memory can be written.</summary>
/// <param name="Name">Name in the file.</param>
/// <param name="DType">Element type.</param>
/// <param name="Shape">Sizes.</param>
/// <param name="Write">Writes exactly the tensor's bytes.</param>
public sealed record WritableTensor(string Name, DType DType, Shape Shape, Action<Stream> Write)
{
    // One tensor may be larger than a span can cover.
    private const int ChunkBytes = 1 << 24;

    /// <summary>Bytes of the tensor.</summary>
    public long ByteCount => Shape.ElementCount * DType.Size();

    /// <summary>A tensor in memory of any device or in a mapped file, written as it is.</summary>
    public static WritableTensor Of(string name, TensorView view) => new(name, view.DType, view.Shape, stream =>
    {
        long bytes = view.ByteCount;
        byte[] copy = view.Device is CpuDevice ? [] : new byte[Math.Min(ChunkBytes, bytes)];
        for (long at = 0; at < bytes; at += ChunkBytes)
        {
            int length = (int)Math.Min(ChunkBytes, bytes - at);
            var chunk = new TensorView(view.Pointer + (nint)at, new Shape(length), DType.U8, view.Device);
            if (copy.Length > 0) view.Device.CopyToHost(chunk, copy.AsSpan(0, length));
            stream.Write(copy.Length > 0 ? copy.AsSpan(0, length) : chunk.AsSpan<byte>());
        }
    });
}
