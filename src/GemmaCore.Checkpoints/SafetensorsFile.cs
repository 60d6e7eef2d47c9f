using System.IO.MemoryMappedFiles;
using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints;

/// <summary>A safetensors file mapped into memory. Views borrow the mapping: keep the file open while they are used.</summary>
public sealed unsafe class SafetensorsFile : IDisposable
{
    private readonly MemoryMappedViewAccessor _accessor;
    private readonly Device _device;
    private byte* _start;

    private SafetensorsFile(string path, MemoryMappedViewAccessor accessor, Device device)
    {
        Path = path;
        _device = device;
        _accessor = accessor;
        _accessor.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        _start += _accessor.PointerOffset;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>What the file holds.</summary>
    public SafetensorsHeader Header { get; private set; } = null!;

    /// <summary>Opens and checks a file; no tensor data is read yet.</summary>
    /// <param name="path">The file.</param>
    /// <param name="device">Device of the views. A mapped file lies in host memory, so for a card it is <see cref="CpuDevice.Host"/> instead.</param>
    /// <exception cref="CheckpointException">It is missing, or not a sound safetensors file.</exception>
    public static SafetensorsFile Open(string path, Device device)
    {
        if (!File.Exists(path)) throw new CheckpointException($"{path}: not found");
        var file = new SafetensorsFile(path, Map(path, out long length), device as CpuDevice ?? CpuDevice.Host);
        try
        {
            int headerLength = SafetensorsHeader.HeaderLength(new ReadOnlySpan<byte>(file._start, 8), length, path);
            file.Header = SafetensorsHeader.Parse(new ReadOnlySpan<byte>(file._start + 8, headerLength).ToArray(), length, path);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>A tensor's bytes where they lie in the file, without a copy.</summary>
    /// <exception cref="CheckpointException">There is no such tensor, or its type cannot be viewed.</exception>
    public TensorView View(string name)
    {
        ObjectDisposedException.ThrowIf(_start == null, this);
        if (!Header.Tensors.TryGetValue(name, out StoredTensor? tensor)) throw new CheckpointException($"{Path}: there is no tensor '{name}'");
        if (tensor.DType is not { } dtype)
            throw new CheckpointException($"{Path}: tensor '{name}' has type {tensor.StoredType}, which GemmaCore does not read");
        Shape shape;
        try
        {
            shape = Shape.From([.. tensor.Sizes]);
        }
        catch (ShapeException error)
        {
            throw new CheckpointException($"{Path}: tensor '{name}': {error.Message}", error);
        }

        return new TensorView((nint)(_start + Header.DataStart + tensor.Begin), shape, dtype, _device);
    }

    /// <summary>Bytes of a tensor of this file, whatever its type.</summary>
    internal ReadOnlySpan<byte> Bytes(StoredTensor tensor, long offset, int count)
    {
        ObjectDisposedException.ThrowIf(_start == null, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + count, tensor.End - tensor.Begin, nameof(count));
        return new ReadOnlySpan<byte>(_start + Header.DataStart + tensor.Begin + offset, count);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_start == null) return;
        _start = null;
        _accessor.SafeMemoryMappedViewHandle.ReleasePointer();
        _accessor.Dispose();
    }

    private static MemoryMappedViewAccessor Map(string path, out long length)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            length = stream.Length;
            if (length < 8) throw new CheckpointException($"{path}: {length} bytes are too few for a safetensors file");
            using var mapping = MemoryMappedFile.CreateFromFile(stream, null, length, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            return mapping.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: cannot be read: {error.Message}", error);
        }
    }
}
