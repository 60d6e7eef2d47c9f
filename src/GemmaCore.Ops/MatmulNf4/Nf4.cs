using System.Collections.Immutable;

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
        codes.Clear();
        if (values.Length % 2 == 1) codes[^1] = Zero; // the half that no element uses
        for (int first = 0; first < values.Length; first += BlockSize)
        {
            ReadOnlySpan<float> block = values.Slice(first, Math.Min(BlockSize, values.Length - first));
            float largest = 0;
            foreach (float value in block) largest = Math.Max(largest, Math.Abs(value));
            absmax[first / BlockSize] = largest;
            float reciprocal = 1 / largest;
            for (int i = 0; i < block.Length; i++)
            {
                int code = largest == 0 ? Zero : CodeOf(block[i] * reciprocal, Thresholds), at = first + i;
                codes[at / 2] |= (byte)(at % 2 == 0 ? code << 4 : code);
            }
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
