namespace GemmaCore.Testing.References;

/// <summary>8-bit rows from their definition: codes in 127ths of the row's largest magnitude, in fp64.</summary>
public static class MatmulInt8Reference
{
    /// <summary>The matrix that codes and magnitudes stand for.</summary>
    public static double[] Matrix(sbyte[] codes, float[] absmax) =>
        [.. codes.Select((code, i) => code * (double)absmax[i / (codes.Length / absmax.Length)] / 127)];
}
