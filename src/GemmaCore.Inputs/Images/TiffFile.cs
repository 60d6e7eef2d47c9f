using System.Runtime.InteropServices;
using GemmaCore.Inputs.Dicom;

namespace GemmaCore.Inputs;

/// <summary>A TIFF file in memory or on the disk, where it may be larger than memory: only what is asked for is read of it.</summary>
internal sealed class TiffFile
{
    private readonly ReadOnlyMemory<byte>? _bytes;
    private readonly string? _path;

    private TiffFile(ImageSource source, ReadOnlySpan<byte> head) => (_bytes, _path, Name, IsBig, IsSwapped) = (source.Bytes, source.Path, source.Path ?? "image", head[2] == '+' || head[3] == '+', head[0] == 'M');

    /// <summary>For complaints.</summary>
    public string Name { get; }

    /// <summary>BigTIFF, whose places have 64 bits.</summary>
    public bool IsBig { get; }

    /// <summary>The upper byte of a number comes first.</summary>
    public bool IsSwapped { get; }

    /// <summary>A picture's file if it is TIFF or BigTIFF, in either order of bytes; null for another. DICOM files of slides may begin like TIFF, and are none.</summary>
    /// <exception cref="InputException">Unreadable file.</exception>
    public static TiffFile? Of(ImageSource source)
    {
        if (source.Bytes is { } bytes) return IsOne(bytes.Span) ? new TiffFile(source, bytes.Span) : null;
        Span<byte> head = stackalloc byte[132 + 4];
        string path = source.Path ?? throw new InputException("an image has neither a path nor bytes");
        using (Stream stream = Open(path))
        {
            head = head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
        }

        return IsOne(head) ? new TiffFile(source, head) : null;
    }

    /// <summary>All of it, to read from any place of.</summary>
    /// <exception cref="InputException">Unreadable file.</exception>
    public Stream Open()
    {
        if (_bytes is not { } bytes) return Open(_path!);
        return MemoryMarshal.TryGetArray(bytes, out ArraySegment<byte> segment)
            ? new MemoryStream(segment.Array!, segment.Offset, segment.Count, writable: false)
            : new MemoryStream(bytes.ToArray(), writable: false);
    }

    private static bool IsOne(ReadOnlySpan<byte> head) => head.Length >= 8 && !DicomFile.IsOne(head)
        && (head[..4].SequenceEqual("II*\0"u8) || head[..4].SequenceEqual("MM\0*"u8) || head[..4].SequenceEqual("II+\0"u8) || head[..4].SequenceEqual("MM\0+"u8));

    private static FileStream Open(string path)
    {
        if (Directory.Exists(path)) throw new InputException($"{path}: is a folder; expected a picture");
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 16, FileOptions.RandomAccess);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new InputException($"{path}: cannot be read: {exception.Message}", exception);
        }
    }
}
