namespace GemmaCore.Ops;

/// <summary>Rounding to rows of signed 8-bit codes, as bitsandbytes 0.45 does for LLM.int8 weights, which it takes in fp16 whatever they are stored in.</summary>
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
            largest = InHalf(largest);
            absmax[row] = largest;
            float scale = largest == 0 ? 0 : Largest * (1 / largest); // in this order: half of the largest magnitude is a tie, which the last bit decides
            for (int i = 0; i < columns; i++) target[i] = (sbyte)MathF.Round(InHalf(source[i]) * scale, MidpointRounding.ToEven);
        }
    }

    // The nearest fp16, ties to even, without the time that a conversion there and back takes. Weights that fp16 has no room for stay as they are: bitsandbytes makes them infinite.
    private static float InHalf(float value)
    {
        const float smallestNormal = 1f / (1 << 14), infinite = 65520;
        float magnitude = Math.Abs(value);
        if (magnitude >= infinite) return value;
        if (magnitude < smallestNormal) return value + 0.5f - 0.5f; // the last bit of a half, 2⁻²⁴, is that of fp16's subnormals
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0xfff + ((bits >> 13) & 1)) & ~0x1fffu);
    }
}
