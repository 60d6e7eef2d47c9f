namespace GemmaCore.Inputs.Codecs;

/// <summary>A table of Huffman codes (T.81, annexes C and F.2.2.3), most codes found in one step.</summary>
internal sealed class HuffmanTable
{
    public const int LongestCode = 16;

    private const int FastBits = 9;

    // By the next 9 bits: length of the code << 8 | value; 0 where the code is longer or there is none.
    private readonly ushort[] _fast = new ushort[1 << FastBits];

    // By length: the first code that is longer, left in 16 bits, and what makes an index into the values of a code.
    private readonly int[] _behind = new int[LongestCode + 1], _offset = new int[LongestCode + 1];
    private readonly byte[] _values;

    private HuffmanTable(byte[] values) => _values = values;

    /// <summary>Reads one table and moves the segment behind it; null where it is damaged.</summary>
    public static HuffmanTable? Read(ref ReadOnlySpan<byte> segment)
    {
        if (segment.Length < LongestCode) return null;
        ReadOnlySpan<byte> counts = segment[..LongestCode];
        int total = 0;
        foreach (byte count in counts) total += count;
        if (total > 256 || segment.Length < LongestCode + total) return null;
        var table = new HuffmanTable(segment.Slice(LongestCode, total).ToArray());
        segment = segment[(LongestCode + total)..];
        return table.Fill(counts) ? table : null;
    }

    /// <summary>The value whose code is next, and how long the code is; length 0 where there is none.</summary>
    /// <param name="next">The next 16 bits.</param>
    /// <param name="length">Bits of the code.</param>
    public int Find(int next, out int length)
    {
        int fast = _fast[next >> (LongestCode - FastBits)];
        if (fast != 0)
        {
            length = fast >> 8;
            return fast & 0xFF;
        }

        for (length = FastBits + 1; length <= LongestCode; length++)
            if (next < _behind[length]) return _values[_offset[length] + (next >> (LongestCode - length))];
        length = 0;
        return 0;
    }

    // Codes of one length follow one another; those of the next begin at twice the one behind them.
    private bool Fill(ReadOnlySpan<byte> counts)
    {
        int code = 0, index = 0;
        for (int length = 1; length <= LongestCode; length++)
        {
            int count = counts[length - 1];
            if (code + count > 1 << length) return false;
            _offset[length] = index - code;
            for (int i = 0; i < count && length <= FastBits; i++)
                _fast.AsSpan((code + i) << (FastBits - length), 1 << (FastBits - length)).Fill((ushort)(length << 8 | _values[index + i]));
            (code, index) = (code + count, index + count);
            _behind[length] = code << (LongestCode - length);
            code <<= 1;
        }

        return true;
    }
}
