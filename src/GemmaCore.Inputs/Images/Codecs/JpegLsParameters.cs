using System.Buffers.Binary;
using System.Numerics;

namespace GemmaCore.Inputs.Codecs;

/// <summary>The numbers that steer a scan of JPEG-LS, in the standard's letters (T.87, A.1 and C.2.4.1).</summary>
/// <param name="MaxVal">Largest value of a sample.</param>
/// <param name="Near">How far a sample may be from the original.</param>
/// <param name="T1">Gradients below it fall into the first class.</param>
/// <param name="T2">… the second.</param>
/// <param name="T3">… the third.</param>
/// <param name="Reset">Samples of a context after which its sums are halved.</param>
internal sealed record JpegLsParameters(int MaxVal, int Near, int T1, int T2, int T3, int Reset)
{
    private const int BasicT1 = 3, BasicT2 = 7, BasicT3 = 21, BasicReset = 64;

    /// <summary>Number of values of a prediction's error.</summary>
    public int Range => (MaxVal + 2 * Near) / (2 * Near + 1) + 1;

    /// <summary>Bits of an error that is written whole.</summary>
    public int Qbpp => BitsOf(Range - 1);

    /// <summary>Longest code in bits.</summary>
    public int Limit => 2 * (Bpp + Math.Max(8, Bpp));

    private int Bpp => Math.Max(2, BitsOf(MaxVal));

    /// <summary>What holds for a scan: the presets that were written, or where they are 0 or missing, the standard's.</summary>
    /// <param name="bits">Of a sample.</param>
    /// <param name="near">As <see cref="Near"/>.</param>
    /// <param name="presets">The segment of presets behind its identifier; empty for none.</param>
    /// <param name="complaint">What to throw.</param>
    /// <exception cref="InputException">They contradict one another.</exception>
    public static JpegLsParameters Of(int bits, int near, ReadOnlySpan<byte> presets, CodecComplaint complaint)
    {
        Span<int> written = stackalloc int[5];
        if (presets.Length is not (0 or 10)) throw complaint.Damaged("its presets are cut short");
        for (int i = 0; i < presets.Length / 2; i++) written[i] = BinaryPrimitives.ReadUInt16BigEndian(presets[(2 * i)..]);
        int largest = (1 << bits) - 1, maxVal = written[0] == 0 ? largest : written[0];
        if (maxVal > largest) throw complaint.Damaged($"its largest value {maxVal} has more than {bits} bits");
        if (near > Math.Min(255, maxVal / 2)) throw complaint.Damaged($"a deviation of {near} is too large for values up to {maxVal}");
        (int t1, int t2, int t3) = Usual(maxVal, near);
        if (written[1] != 0) t1 = written[1];
        if (written[2] != 0) t2 = written[2];
        if (written[3] != 0) t3 = written[3];
        int reset = written[4] == 0 ? BasicReset : written[4];
        return t1 > near && t1 <= t2 && t2 <= t3 && t3 <= maxVal && reset >= 3 && reset <= Math.Max(255, maxVal)
            ? new JpegLsParameters(maxVal, near, t1, t2, t3, reset)
            : throw complaint.Damaged($"its presets {t1}, {t2}, {t3}, {reset} make no sense for values up to {maxVal}");
    }

    // T.87, C.2.4.1.1.1.
    private static (int T1, int T2, int T3) Usual(int maxVal, int near)
    {
        int t1, t2, t3;
        if (maxVal >= 128)
        {
            int factor = (Math.Min(maxVal, 4095) + 128) / 256;
            (t1, t2, t3) = (factor * (BasicT1 - 2) + 2 + 3 * near, factor * (BasicT2 - 3) + 3 + 5 * near, factor * (BasicT3 - 4) + 4 + 7 * near);
        }
        else
        {
            int factor = 256 / (maxVal + 1);
            (t1, t2, t3) = (Math.Max(2, BasicT1 / factor + 3 * near), Math.Max(3, BasicT2 / factor + 5 * near), Math.Max(4, BasicT3 / factor + 7 * near));
        }

        t1 = Within(t1, near + 1, maxVal);
        t2 = Within(t2, t1, maxVal);
        return (t1, t2, Within(t3, t2, maxVal));
    }

    private static int Within(int value, int smallest, int largest) => value > largest || value < smallest ? smallest : value;

    private static int BitsOf(int largest) => 32 - BitOperations.LeadingZeroCount((uint)largest);
}
