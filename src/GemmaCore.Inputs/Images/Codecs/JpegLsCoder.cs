using System.Numerics;
using System.Runtime.CompilerServices;

namespace GemmaCore.Inputs.Codecs;

/// <summary>
/// What a JPEG-LS scan has learned, and how it turns bits into samples (T.87, annex A, whose letters are used): Ra is the sample to the left, Rb above, Rc above and left, Rd above and right.
/// </summary>
internal sealed class JpegLsCoder
{
    private const int ContextCount = 365, LongestRunIndex = 31, LargestK = 16;

    // Lengths of runs as powers of two (A.7.1.1).
    private static readonly byte[] J = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    private readonly Context[] _contexts = new Context[ContextCount];
    private readonly Context[] _ends = new Context[2]; // of runs; C counts negative errors, Nn of the standard
    private readonly int _maxVal, _near, _step, _t1, _t2, _t3, _reset, _range, _qbpp, _zeros;

    public JpegLsCoder(JpegLsParameters parameters)
    {
        (_maxVal, _near, _t1, _t2, _t3, _reset) = (parameters.MaxVal, parameters.Near, parameters.T1, parameters.T2, parameters.T3, parameters.Reset);
        (_range, _qbpp, _step) = (parameters.Range, parameters.Qbpp, 2 * parameters.Near + 1);
        _zeros = parameters.Limit - _qbpp - 1;
        var first = new Context { A = Math.Max(2, (_range + 32) / 64), N = 1 };
        Array.Fill(_contexts, first);
        Array.Fill(_ends, first);
    }

    /// <summary>The context of three gradients, from -364 to 364; 0 begins a run (A.3.3 and A.3.4).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ContextOf(int ra, int rb, int rc, int rd) => 81 * Class(rd - rb) + 9 * Class(rb - rc) + Class(rc - ra);

    /// <summary>One sample by its context; -1 where the bits make no sense (A.4 to A.6).</summary>
    public int Sample(ref JpegLsBits bits, int contextNumber, int ra, int rb, int rc)
    {
        int sign = contextNumber >> 31; // -1 turns all signs round
        ref Context context = ref _contexts[(contextNumber ^ sign) - sign];
        int smallest = Math.Min(ra, rb), largest = Math.Max(ra, rb);
        int prediction = rc >= largest ? smallest : rc <= smallest ? largest : ra + rb - rc;
        prediction = Math.Clamp(prediction + ((context.C ^ sign) - sign), 0, _maxVal);

        int k = LengthOf(context.A, context.N);
        int mapped = k <= LargestK ? bits.TakeGolomb(k, _zeros, _qbpp) : -1;
        if (mapped < 0 || mapped > 2 * _range) return -1;
        int error = (mapped >> 1) ^ -(mapped & 1);
        // Where errors are mostly negative, the shorter codes are theirs.
        if (k == 0 && _near == 0 && 2 * context.B <= -context.N) error = ~error;
        Learn(ref context, error);
        return Reconstruct(prediction, (error ^ sign) - sign);
    }

    /// <summary>How many samples repeat the one before (A.7.1).</summary>
    /// <param name="bits">Where the bits come from.</param>
    /// <param name="remaining">Samples up to the end of the line.</param>
    /// <param name="runIndex">Grows with long runs.</param>
    public static int RunLength(ref JpegLsBits bits, int remaining, ref int runIndex)
    {
        int length = 0;
        while (bits.TakeBit())
        {
            int whole = 1 << J[runIndex];
            if (length + whole <= remaining && runIndex < LongestRunIndex) runIndex++;
            length = Math.Min(length + whole, remaining);
            if (length == remaining) return length;
        }

        return length + bits.Take(J[runIndex]);
    }

    /// <summary>The sample that ends a run; -1 where the bits make no sense (A.7.2).</summary>
    /// <param name="bits">Where the bits come from.</param>
    /// <param name="runIndex">Of the run; the caller makes it smaller afterwards.</param>
    /// <param name="ra">Left of it.</param>
    /// <param name="rb">Above.</param>
    /// <param name="likeBoth">Whether samples that are alike have a context of their own; not where the samples of a pixel lie together.</param>
    public int RunEnd(ref JpegLsBits bits, int runIndex, int ra, int rb, bool likeBoth)
    {
        int type = likeBoth && Math.Abs(ra - rb) <= _near ? 1 : 0;
        ref Context context = ref _ends[type];
        int k = LengthOf(context.A + (type == 1 ? context.N >> 1 : 0), context.N);
        int mapped = k <= LargestK ? bits.TakeGolomb(k, _zeros - J[runIndex] - 1, _qbpp) : -1;
        if (mapped < 0 || mapped > 2 * _range) return -1;
        int coded = mapped + type, magnitude = (coded + 1) >> 1;
        bool isNegative = (k != 0 || 2 * context.C >= context.N) == ((coded & 1) == 1);
        int error = isNegative ? -magnitude : magnitude;
        if (error < 0) context.C++;
        context.A += (mapped + 1 - type) >> 1;
        if (context.N == _reset) (context.A, context.N, context.C) = (context.A >> 1, context.N >> 1, context.C >> 1);
        context.N++;
        return Reconstruct(type == 1 ? ra : rb, type == 0 && ra > rb ? -error : error);
    }

    // A.3.3.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Class(int gradient)
    {
        int size = Math.Abs(gradient);
        int number = (size > _near ? 1 : 0) + (size >= _t1 ? 1 : 0) + (size >= _t2 ? 1 : 0) + (size >= _t3 ? 1 : 0);
        return gradient < 0 ? -number : number;
    }

    // A.5.1: the least k with N * 2^k >= A.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int LengthOf(int a, int n)
    {
        int k = Math.Max(0, BitOperations.Log2((uint)a) - BitOperations.Log2((uint)n));
        return (uint)n << k < (uint)a ? k + 1 : k;
    }

    // A.6.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Learn(ref Context context, int error)
    {
        (int a, int b, int n) = (context.A + Math.Abs(error), context.B + error * _step, context.N);
        if (n == _reset) (a, b, n) = (a >> 1, b >> 1, n >> 1);
        n++;
        if (b <= -n)
        {
            b = Math.Max(b + n, 1 - n);
            if (context.C > -128) context.C--;
        }
        else if (b > 0)
        {
            b = Math.Min(b - n, 0);
            if (context.C < 127) context.C++;
        }

        (context.A, context.B, context.N) = (a, b, n);
    }

    // A.4.4: errors are written modulo the range.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Reconstruct(int prediction, int error)
    {
        int value = prediction + error * _step;
        if (value < -_near) value += _range * _step;
        else if (value > _maxVal + _near) value -= _range * _step;
        return Math.Clamp(value, 0, _maxVal);
    }

    private struct Context
    {
        public int A, B, C, N;
    }
}
