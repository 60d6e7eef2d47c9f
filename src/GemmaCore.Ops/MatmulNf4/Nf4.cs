using System.Collections.Immutable;
using System.Numerics;

namespace GemmaCore.Ops;

/// <summary>
/// The NF4 number format (arXiv:2305.14314, appendix E) and the 8-bit format of its magnitudes (dynamic tree quantisation, arXiv:2110.02861), with the
/// rounding and packing of bitsandbytes 0.45.
/// </summary>
public static class Nf4
{
    /// <summary>Consecutive elements that share a magnitude.</summary>
    public const int BlockSize = 64;

    /// <summary>Consecutive magnitudes that share a scale when they are quantised too.</summary>
    public const int NestedBlockSize = 256;

    // The code of zero, and of the elements of a block of zeros.
    private const int Zero = 7;

    /// <summary>What the sixteen codes mean, as fractions of the block's magnitude: quantiles of a normal distribution.</summary>
    public static ImmutableArray<float> Values { get; } =
    [
        -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f,
    ];

    /// <summary>The 256 values that quantised magnitudes are multiples of, ascending.</summary>
    public static ImmutableArray<float> NestedValues => DynamicMap.Signed;

    private static ImmutableArray<float> Thresholds { get; } = Midpoints(Values);

    // bitsandbytes was observed to look nested codes up in 65536 equal cells of [-1, 1] (tests/goldens/nf4/blocks.safetensors: every code; with the plain
    // middles one in a hundred differs): a limit lies at the edge of the cell that the middle falls in.
    private static ImmutableArray<float> NestedThresholds { get; } =
        [.. NestedValues.Skip(1).Zip(NestedValues, (above, below) => (float)((Math.Floor((((double)above + below) / 2 + 1) * 32767.5) + 0.5) / 32767.5 - 1))];

    /// <summary>Blocks of <paramref name="elements"/> elements; the last may be short.</summary>
    public static long BlockCount(long elements) => (elements + BlockSize - 1) / BlockSize;

    /// <summary>Rounds to NF4.</summary>
    /// <param name="values">Finite elements, row by row.</param>
    /// <param name="codes">Receives ⌈n/2⌉ bytes.</param>
    /// <param name="absmax">Receives the magnitude of every block.</param>
    public static void Quantize(ReadOnlySpan<float> values, Span<byte> codes, Span<float> absmax)
    {
        Span<int> found = stackalloc int[BlockSize];
        for (int first = 0; first < values.Length; first += BlockSize)
        {
            ReadOnlySpan<float> block = values.Slice(first, Math.Min(BlockSize, values.Length - first));
            float largest = Largest(block);
            absmax[first / BlockSize] = largest;
            if (largest == 0) found.Fill(Zero);
            else CodesOf(block, 1 / largest, found);
            if (block.Length % 2 == 1) found[block.Length] = Zero; // the half that no element uses
            for (int i = 0; i < block.Length; i += 2) codes[(first + i) / 2] = (byte)(found[i] << 4 | found[i + 1]);
        }
    }

    /// <summary>The elements that codes and magnitudes stand for.</summary>
    public static void Dequantize(ReadOnlySpan<byte> codes, ReadOnlySpan<float> absmax, Span<float> values)
    {
        for (int i = 0; i < values.Length; i++)
            values[i] = Values[i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15] * absmax[i / BlockSize];
    }

    /// <summary>Quantises magnitudes ("double quantisation").</summary>
    /// <param name="absmax">Magnitudes of the blocks.</param>
    /// <param name="codes">Receives a code for each.</param>
    /// <param name="scales">Receives a scale for every <see cref="NestedBlockSize"/> of them.</param>
    /// <returns>Their mean, from which the codes count.</returns>
    public static float QuantizeAbsmax(ReadOnlySpan<float> absmax, Span<byte> codes, Span<float> scales)
    {
        double sum = 0;
        foreach (float value in absmax) sum += value;
        float mean = absmax.IsEmpty ? 0 : (float)(sum / absmax.Length);
        QuantizeAbsmax(absmax, mean, codes, scales);
        return mean;
    }

    internal static void QuantizeAbsmax(ReadOnlySpan<float> absmax, float mean, Span<byte> codes, Span<float> scales)
    {
        for (int first = 0; first < absmax.Length; first += NestedBlockSize)
        {
            ReadOnlySpan<float> block = absmax.Slice(first, Math.Min(NestedBlockSize, absmax.Length - first));
            float largest = 0;
            foreach (float value in block) largest = Math.Max(largest, Math.Abs(value - mean));
            scales[first / NestedBlockSize] = largest;
            float reciprocal = 1 / largest;
            for (int i = 0; i < block.Length; i++) codes[first + i] = largest == 0 ? (byte)0 : (byte)CodeOf((block[i] - mean) * reciprocal, NestedThresholds);
        }
    }

    private static float Largest(ReadOnlySpan<float> block)
    {
        Vector<float> lanes = Vector<float>.Zero;
        int i = 0;
        for (; i <= block.Length - Vector<float>.Count; i += Vector<float>.Count) lanes = Vector.Max(lanes, Vector.Abs(new Vector<float>(block[i..])));
        float largest = 0;
        for (int lane = 0; lane < Vector<float>.Count; lane++) largest = Math.Max(largest, lanes[lane]);
        for (; i < block.Length; i++) largest = Math.Max(largest, Math.Abs(block[i]));
        return largest;
    }

    // As CodeOf, of many at once: the lanes of every comparison that holds are minus one, and fifteen of them take less time than four guesses of a branch.
    private static void CodesOf(ReadOnlySpan<float> block, float reciprocal, Span<int> codes)
    {
        ImmutableArray<float> thresholds = Thresholds;
        int i = 0;
        for (; i <= block.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector<float> value = new Vector<float>(block[i..]) * reciprocal;
            Vector<int> code = Vector<int>.Zero;
            foreach (float threshold in thresholds) code -= Vector.GreaterThan(value, new Vector<float>(threshold));
            code.CopyTo(codes[i..]);
        }

        for (; i < block.Length; i++) codes[i] = CodeOf(block[i] * reciprocal, thresholds);
    }

    // How many thresholds lie below the value.
    private static int CodeOf(float value, ImmutableArray<float> thresholds)
    {
        int low = 0, high = thresholds.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (value > thresholds[middle]) low = middle + 1;
            else high = middle;
        }

        return low;
    }

    private static ImmutableArray<float> Midpoints(ImmutableArray<float> values) =>
        [.. values.Skip(1).Zip(values, (above, below) => (float)(((double)above + below) / 2))];
}
