using System.Buffers.Binary;
using System.IO.Compression;

namespace GemmaCore.Training.Datasets.Tables;

/// <summary>
/// Unpacks a gzip file and notices that it was cut off. .NET's own stream ends as if the file did: half a table would pass for a whole one. The last four bytes of the
/// file are the length of what it holds (RFC 1952), modulo 2^32.
/// </summary>
internal sealed class CheckedGzip : Stream
{
    private readonly GZipStream _unpacked;
    private readonly uint _expected;
    private uint _read;

    /// <param name="file">The file, from its start; closed with this stream.</param>
    public CheckedGzip(FileStream file)
    {
        Span<byte> end = stackalloc byte[sizeof(uint)];
        file.Position = Math.Max(0, file.Length - end.Length);
        file.ReadExactly(end);
        file.Position = 0;
        _expected = BinaryPrimitives.ReadUInt32LittleEndian(end);
        _unpacked = new GZipStream(file, CompressionMode.Decompress);
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <exception cref="InvalidDataException">The file ends before its data does.</exception>
    public override int Read(Span<byte> buffer)
    {
        int count = _unpacked.Read(buffer);
        _read += (uint)count;
        if (count == 0 && buffer.Length > 0 && _read != _expected) throw new InvalidDataException("it holds another number of bytes than it says; fetch it again, or unpack it if it was packed in parts");
        return count;
    }

    public override void Flush() { }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) _unpacked.Dispose();
        base.Dispose(disposing);
    }
}
