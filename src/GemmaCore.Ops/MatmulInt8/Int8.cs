namespace GemmaCore.Ops;

/// <summary>Rounding to rows of signed 8-bit codes, as bitsandbytes 0.45 does for LLM.int8 weights.</summary>
public static class Int8
{
    /// <summary>The code of a row's largest magnitude.</summary>
    public const float Largest = 127;

    /// <summary>Rounds a matrix, ties to even.</summary>
    /// <param name="values">Finite elements, row by row.</param>
    /// <param name="columns">Elements of a row.</param>
    /// <param name="codes">Receives a code for each.</param>
    /// <param name="absmax">Receives the largest magnitude of every row.</param>
    public static void Quantize(ReadOnlySpan<float> values, int columns, Span<sbyte> codes, Span<float> absmax)
    {
        for (int row = 0; row < absmax.Length; row++)
        {
            ReadOnlySpan<float> source = values.Slice(row * columns, columns);
            Span<sbyte> target = codes.Slice(row * columns, columns);
            float largest = 0;
            foreach (float value in source) largest = Math.Max(largest, Math.Abs(value));
            absmax[row] = largest;
            float scale = largest == 0 ? 0 : Largest * (1 / largest); // in this order: half of the largest magnitude is a tie, which the last bit decides
            for (int i = 0; i < columns; i++) target[i] = (sbyte)MathF.Round(source[i] * scale, MidpointRounding.ToEven);
        }
    }
}
