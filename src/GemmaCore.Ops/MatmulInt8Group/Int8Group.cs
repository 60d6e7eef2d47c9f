namespace GemmaCore.Ops;

/// <summary>Rounding to signed 8-bit codes with an fp16 scale for every <see cref="Size"/> consecutive elements of a row (kernels.md §1.5, <c>I8-128</c>).</summary>
public static class Int8Group
{
    /// <summary>Consecutive elements of a row that share a scale; the last group of a row may be short.</summary>
    public const int Size = 128;

    /// <summary>Groups of a row of <paramref name="columns"/> elements.</summary>
    public static int Count(int columns) => (columns + Size - 1) / Size;

    /// <summary>
    /// Rounds a matrix: the scale is the group's largest magnitude over 127, rounded up to fp16, so that no element is clipped and each is off by half a scale at
    /// most; codes are element / scale, ties to even.
    /// </summary>
    /// <param name="values">Finite elements, row by row.</param>
    /// <param name="columns">Elements of a row.</param>
    /// <param name="codes">Receives a code for each.</param>
    /// <param name="scales">Receives the scale of every group, row by row; infinite where a magnitude is beyond 127 · 65504.</param>
    public static void Quantize(ReadOnlySpan<float> values, int columns, Span<sbyte> codes, Span<Half> scales)
    {
        int groups = Count(columns);
        for (int i = 0; i < scales.Length; i++)
        {
            int first = i / groups * columns + i % groups * Size, count = Math.Min(Size, columns - i % groups * Size);
            ReadOnlySpan<float> source = values.Slice(first, count);
            Span<sbyte> target = codes.Slice(first, count);
            float largest = 0;
            foreach (float value in source) largest = Math.Max(largest, Math.Abs(value));
            Half half = (Half)(largest / Int8.Largest);
            if ((float)half * Int8.Largest < largest) half = Half.BitIncrement(half);
            scales[i] = half;
            float scale = (float)half;
            for (int k = 0; k < count; k++) target[k] = scale == 0 ? (sbyte)0 : (sbyte)MathF.Round(source[k] / scale, MidpointRounding.ToEven);
        }
    }
}
