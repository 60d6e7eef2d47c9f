using System.Buffers.Binary;

namespace GemmaCore.Inputs.Codecs;

/// <summary>Walks from marker to marker of a JPEG or JPEG-LS stream (T.81, annex B; T.87, annex C).</summary>
/// <param name="stream">The whole stream.</param>
/// <param name="complaint">What to throw when it is damaged.</param>
internal ref struct JpegMarkers(ReadOnlySpan<byte> stream, CodecComplaint complaint)
{
    public const int FrameBaseline = 0xC0, FrameLossless = 0xC3, Huffman = 0xC4, FirstRestart = 0xD0, LastRestart = 0xD7, Start = 0xD8, End = 0xD9, Scan = 0xDA, Restarts = 0xDD, Application8 = 0xE8, FrameLs = 0xF7, PresetsLs = 0xF8;

    private readonly ReadOnlySpan<byte> _stream = stream;
    private int _at;

    /// <summary>What was not read yet.</summary>
    public readonly ReadOnlySpan<byte> Rest => _stream[_at..];

    /// <summary>The next marker's code; entropy-coded bytes and restart markers before it are stepped over.</summary>
    public int Next()
    {
        for (; _at + 1 < _stream.Length; _at++)
        {
            if (_stream[_at] != 0xFF || _stream[_at + 1] is < FrameBaseline or 0xFF or (>= FirstRestart and <= LastRestart)) continue;
            _at += 2;
            return _stream[_at - 1];
        }

        throw complaint.CutOff();
    }

    /// <summary>The parameters of the marker that was read last.</summary>
    public ReadOnlySpan<byte> Segment()
    {
        int length = Rest.Length >= 2 ? BinaryPrimitives.ReadUInt16BigEndian(Rest) : 0;
        if (length < 2 || length > Rest.Length) throw complaint.CutOff();
        ReadOnlySpan<byte> segment = Rest[2..length];
        _at += length;
        return segment;
    }

    public void Skip(int bytes) => _at += bytes;

    /// <summary>Whether a marker is a frame of another process of JPEG than those that are read here (SOF0 to SOF15).</summary>
    public static bool IsFrame(int marker) => marker is >= FrameBaseline and <= 0xCF and not (Huffman or 0xC8 or 0xCC);
}
