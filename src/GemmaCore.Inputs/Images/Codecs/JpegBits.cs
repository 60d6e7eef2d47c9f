using System.Buffers.Binary;

namespace GemmaCore.Inputs.Codecs;

/// <summary>
/// The bits of a scan, the highest of a byte first. Behind FF stands a zero that is none of them (T.81, F.1.2.3), any other byte there is a marker and ends them; what is asked for behind the end is zero, and counted.
/// </summary>
/// <param name="bytes">From the first byte of the scan on.</param>
internal ref struct JpegBits(ReadOnlySpan<byte> bytes)
{
    private readonly ReadOnlySpan<byte> _bytes = bytes;
    private ulong _bits; // the next one is the highest
    private int _count, _at, _padding;

    /// <summary>Whether more bits were taken than there are.</summary>
    public readonly bool IsOverrun => _padding > _count;

    /// <summary>Bytes up to the marker that ends the bits.</summary>
    public readonly int Position => _at;

    /// <summary>Makes 32 bits ready.</summary>
    public void Ensure32()
    {
        if (_count >= 32) return;
        if (_at + 4 <= _bytes.Length && BinaryPrimitives.ReadUInt32BigEndian(_bytes[_at..]) is var four && ((~four - 0x01010101) & four & 0x80808080) == 0)
        {
            // No byte of the four is FF: then its complement would be 0.
            _bits |= (ulong)four << (32 - _count);
            (_count, _at) = (_count + 32, _at + 4);
            return;
        }

        while (_count < 32) Push();
    }

    /// <summary>The next 16 bits, which stay; as many have to be ready.</summary>
    public readonly int Peek16() => (int)(_bits >> 48);

    /// <summary>Takes bits that are ready.</summary>
    public void Drop(int count)
    {
        _bits <<= count;
        _count -= count;
    }

    /// <summary>Takes up to 16 bits that are ready.</summary>
    public int Take(int count)
    {
        int taken = (int)(_bits >> 32 >> (32 - count));
        Drop(count);
        return taken;
    }

    /// <summary>Goes on behind a restart marker; false where another one, or none, is next.</summary>
    public bool TryRestart(int number)
    {
        (_bits, _count, _padding) = (0, 0, 0);
        while (_at + 1 < _bytes.Length && _bytes[_at] == 0xFF && _bytes[_at + 1] == 0xFF) _at++;
        if (_at + 1 >= _bytes.Length || _bytes[_at] != 0xFF || _bytes[_at + 1] != JpegMarkers.FirstRestart + number) return false;
        _at += 2;
        return true;
    }

    private void Push()
    {
        int next = 0;
        if (_at >= _bytes.Length || (_bytes[_at] == 0xFF && (_at + 1 >= _bytes.Length || _bytes[_at + 1] != 0)))
        {
            _padding += 8;
        }
        else
        {
            next = _bytes[_at];
            _at += next == 0xFF ? 2 : 1;
        }

        _bits |= (ulong)next << (56 - _count);
        _count += 8;
    }
}
