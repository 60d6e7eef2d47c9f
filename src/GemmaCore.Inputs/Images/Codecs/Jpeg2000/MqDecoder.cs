using System.Numerics;
using System.Runtime.CompilerServices;

namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>The adaptive binary arithmetic decoder (T.800, annex C). Behind its bytes stand as many ones as are asked for.</summary>
internal sealed class MqDecoder
{
    public const int ContextCount = 19, Run = 17, Uniform = 18;

    // T.800, table C.2: probability, next state after the more and the less probable symbol, whether the latter turns the meaning round.
    private static readonly (ushort Qe, byte Mps, byte Lps, byte Switch)[] Table =
    [
        (0x5601, 1, 1, 1), (0x3401, 2, 6, 0), (0x1801, 3, 9, 0), (0x0AC1, 4, 12, 0), (0x0521, 5, 29, 0), (0x0221, 38, 33, 0), (0x5601, 7, 6, 1), (0x5401, 8, 14, 0),
        (0x4801, 9, 14, 0), (0x3801, 10, 14, 0), (0x3001, 11, 17, 0), (0x2401, 12, 18, 0), (0x1C01, 13, 20, 0), (0x1601, 29, 21, 0), (0x5601, 15, 14, 1), (0x5401, 16, 14, 0),
        (0x5101, 17, 15, 0), (0x4801, 18, 16, 0), (0x3801, 19, 17, 0), (0x3401, 20, 18, 0), (0x3001, 21, 19, 0), (0x2801, 22, 19, 0), (0x2401, 23, 20, 0), (0x2201, 24, 21, 0),
        (0x1C01, 25, 22, 0), (0x1801, 26, 23, 0), (0x1601, 27, 24, 0), (0x1401, 28, 25, 0), (0x1201, 29, 26, 0), (0x1101, 30, 27, 0), (0x0AC1, 31, 28, 0), (0x09C1, 32, 29, 0),
        (0x08A1, 33, 30, 0), (0x0521, 34, 31, 0), (0x0441, 35, 32, 0), (0x02A1, 36, 33, 0), (0x0221, 37, 34, 0), (0x0141, 38, 35, 0), (0x0111, 39, 36, 0), (0x0085, 40, 37, 0),
        (0x0049, 41, 38, 0), (0x0025, 42, 39, 0), (0x0015, 43, 40, 0), (0x0009, 44, 41, 0), (0x0005, 45, 42, 0), (0x0001, 45, 43, 0), (0x5601, 46, 46, 0),
    ];

    // By state << 1 | more probable symbol: probability << 16 | number after the more probable symbol << 9 | after the less probable one << 2 | the more probable symbol.
    private static readonly uint[] States = [.. Enumerable.Range(0, 2 * Table.Length).Select(Packed)];

    private readonly uint[] _contexts = new uint[ContextCount];
    private byte[] _bytes = [];
    private int _at, _end, _left;
    private uint _a, _c;

    /// <summary>T.800, table D.7.</summary>
    public void ResetContexts()
    {
        Array.Fill(_contexts, States[0]);
        (_contexts[0], _contexts[Run], _contexts[Uniform]) = (States[4 << 1], States[3 << 1], States[46 << 1]);
    }

    /// <summary>Begins with the bytes of a segment.</summary>
    public void Begin(byte[] bytes, int start, int length)
    {
        (_bytes, _at, _end) = (bytes, start, start + length);
        _c = (uint)Byte(_at) << 16;
        ByteIn();
        _c <<= 7;
        _left -= 7;
        _a = 0x8000;
    }

    /// <summary>The next symbol in a context.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Decode(int context)
    {
        ref uint slot = ref _contexts[context];
        uint row = slot, probability = row & 0xFFFF_0000;
        _a -= probability >> 16;
        if (_c < probability) return Exchange(ref slot, isLess: true);
        _c -= probability;
        return (_a & 0x8000) != 0 ? (int)row & 1 : Exchange(ref slot, isLess: false);
    }

    private static uint Packed(int state)
    {
        (ushort qe, byte mps, byte lps, byte turns) = Table[state >> 1];
        int symbol = state & 1;
        return (uint)(qe << 16 | (mps << 1 | symbol) << 9 | (lps << 1 | symbol ^ turns) << 2 | symbol);
    }

    // C.3.2: the smaller part of the interval is the less probable symbol's, whichever it was to be; then the interval grows again.
    private int Exchange(ref uint slot, bool isLess)
    {
        uint row = slot, qe = row >> 16;
        int symbol = (int)row & 1;
        bool isExchanged = _a < qe;
        if (isLess) _a = qe;
        if (isLess != isExchanged)
        {
            symbol ^= 1;
            slot = States[row >> 2 & 127];
        }
        else
        {
            slot = States[row >> 9 & 127];
        }

        do
        {
            if (_left == 0) ByteIn();
            int shift = Math.Min(BitOperations.LeadingZeroCount(_a) - 16, _left);
            _a <<= shift;
            _c <<= shift;
            _left -= shift;
        }
        while ((_a & 0x8000) == 0);
        return symbol;
    }

    private int Byte(int at) => at < _end ? _bytes[at] : 0xFF;

    private void ByteIn()
    {
        if (Byte(_at) != 0xFF)
        {
            _c += (uint)Byte(++_at) << 8;
            _left = 8;
        }
        else if (Byte(_at + 1) > 0x8F)
        {
            _c += 0xFF00;
            _left = 8;
        }
        else
        {
            _c += (uint)Byte(++_at) << 9;
            _left = 7;
        }
    }
}
