namespace GemmaCore.Testing.References;

/// <summary>Σ x² in double.</summary>
public static class SumOfSquaresReference
{
    public static double Forward(double[] x) => x.Sum(value => value * value);
}
