namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>The bits of a packet's header (T.800, B.10.1): the byte behind FF has seven.</summary>
/// <param name="bytes">The tile's bytes.</param>
/// <param name="at">The header's first.</param>
/// <param name="complaint">What to throw where they end.</param>
internal ref struct PacketBits(ReadOnlySpan<byte> bytes, int at, CodecComplaint complaint)
{
    private readonly ReadOnlySpan<byte> _bytes = bytes;
    private int _at = at, _left, _byte;

    public int Next()
    {
        if (_left == 0)
        {
            if (_at >= _bytes.Length) throw complaint.CutOff();
            _left = _byte == 0xFF ? 7 : 8;
            _byte = _bytes[_at++];
        }

        return _byte >> --_left & 1;
    }

    /// <summary>Up to 31 bits, the highest first.</summary>
    public int Take(int count)
    {
        int taken = 0;
        for (; count > 0; count--) taken = taken << 1 | Next();
        return taken;
    }

    /// <summary>The byte behind the header; behind FF stands one more.</summary>
    public readonly int End() => _byte == 0xFF ? _at + 1 : _at;
}
