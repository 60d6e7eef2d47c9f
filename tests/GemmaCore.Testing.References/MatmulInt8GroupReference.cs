namespace GemmaCore.Testing.References;

/// <summary>8-bit codes with a scale for every 128 inputs of a row, from their definition, in fp64.</summary>
public static class MatmulInt8GroupReference
{
    /// <summary>The matrix that codes and scales stand for.</summary>
    public static double[] Matrix(sbyte[] codes, Half[] scales, int columns) =>
        [.. codes.Select((code, i) => code * (double)scales[i / columns * ((columns + 127) / 128) + i % columns / 128])];
}
