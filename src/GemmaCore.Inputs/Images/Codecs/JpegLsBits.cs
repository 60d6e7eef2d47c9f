using System.Buffers.Binary;
using System.Numerics;

namespace GemmaCore.Inputs.Codecs;

/// <summary>
/// The bits of a JPEG-LS scan (T.87, A.1 and C.1), the highest of a byte first. The byte behind FF has seven, or is part of a marker, which ends them; what is asked for behind the end is zero, and counted.
/// </summary>
/// <param name="bytes">From the first byte of the scan on.</param>
internal ref struct JpegLsBits(ReadOnlySpan<byte> bytes)
{
    private readonly ReadOnlySpan<byte> _bytes = bytes;
    private ulong _bits; // the next one is the highest
    private int _count, _at, _padding;
    private bool _isBehindFF;

    /// <summary>Whether more bits were taken than there are.</summary>
    public readonly bool IsOverrun => _padding > _count;

    /// <summary>Bytes up to the marker that ends the bits.</summary>
    public readonly int Position => _at;

    public bool TakeBit()
    {
        if (_count < 1) Fill();
        bool bit = (long)_bits < 0;
        Drop(1);
        return bit;
    }

    /// <summary>Takes up to 16 bits.</summary>
    public int Take(int count)
    {
        if (_count < count) Fill();
        int taken = (int)(_bits >> 32 >> (32 - count));
        Drop(count);
        return taken;
    }

    /// <summary>Takes a number in a Golomb code of limited length (T.87, A.5.3); -1 where there is none.</summary>
    /// <param name="k">Bits that are written as they are.</param>
    /// <param name="zeros">Zeros that say that the whole number follows.</param>
    /// <param name="qbpp">Its bits.</param>
    public int TakeGolomb(int k, int zeros, int qbpp)
    {
        if (_count < 32) Fill();
        int found = BitOperations.LeadingZeroCount(_bits);
        if (found < zeros && found + 1 + k <= _count)
        {
            ulong rest = _bits << found << 1;
            int low = (int)(rest >> 32 >> (32 - k));
            _bits = rest << k;
            _count -= found + 1 + k;
            return found << k | low;
        }

        Fill();
        found = BitOperations.LeadingZeroCount(_bits);
        if (found > zeros) return -1;
        Drop(found + 1);
        return found < zeros ? found << k | Take(k) : Take(qbpp) + 1;
    }

    private void Drop(int count)
    {
        _bits <<= count;
        _count -= count;
    }

    // Makes at least 57 bits ready.
    private void Fill()
    {
        if (_count <= 32 && !_isBehindFF && _at + 4 <= _bytes.Length && BinaryPrimitives.ReadUInt32BigEndian(_bytes[_at..]) is var four && ((~four - 0x01010101) & four & 0x80808080) == 0)
        {
            // No byte of the four is FF: then its complement would be 0.
            _bits |= (ulong)four << (32 - _count);
            (_count, _at) = (_count + 32, _at + 4);
        }

        while (_count <= 56) Push();
    }

    private void Push()
    {
        int next = 0, length = _isBehindFF ? 7 : 8;
        if (_at >= _bytes.Length || (_bytes[_at] == 0xFF && (_at + 1 >= _bytes.Length || _bytes[_at + 1] >= 0x80)))
        {
            _padding += length;
        }
        else
        {
            next = _bytes[_at++];
            _isBehindFF = next == 0xFF;
        }

        _bits |= (ulong)next << (64 - length - _count);
        _count += length;
    }
}
