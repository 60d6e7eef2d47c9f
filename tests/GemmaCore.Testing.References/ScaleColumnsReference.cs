namespace GemmaCore.Testing.References;

/// <summary>y[t, o] · scale[o] + bias[o]; the bias may be empty.</summary>
public static class ScaleColumnsReference
{
    public static double[] Forward(double[] y, double[] scale, double[] bias) =>
        [.. y.Select((value, i) => value * scale[i % scale.Length] + (bias.Length > 0 ? bias[i % scale.Length] : 0))];
}
