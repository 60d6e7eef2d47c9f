using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>
/// What reference code needs beyond + − × ÷, for double (values) and Complex (gradients by complex step). Comparisons look at the real
/// part only, so that they never cut the imaginary perturbation.
/// </summary>
public interface IFunctions<T> where T : struct, INumberBase<T>
{
    static abstract T Of(double value);

    static abstract double RealPart(T value);

    static abstract T Sqrt(T value);

    static abstract T Exp(T value);

    static abstract T Log(T value);

    static abstract T Tanh(T value);
}

public readonly struct RealFunctions : IFunctions<double>
{
    public static double Of(double value) => value;

    public static double RealPart(double value) => value;

    public static double Sqrt(double value) => Math.Sqrt(value);

    public static double Exp(double value) => Math.Exp(value);

    public static double Log(double value) => Math.Log(value);

    public static double Tanh(double value) => Math.Tanh(value);
}

public readonly struct ComplexFunctions : IFunctions<Complex>
{
    public static Complex Of(double value) => value;

    public static double RealPart(Complex value) => value.Real;

    // sqrt, exp, log and tanh by first-order expansion around the real part: exact for an imaginary part of 1e-50, where the
    // library's general complex functions would lose it.
    public static Complex Sqrt(Complex value) => new(Math.Sqrt(value.Real), value.Imaginary / (2 * Math.Sqrt(value.Real)));

    public static Complex Exp(Complex value) => new(Math.Exp(value.Real), Math.Exp(value.Real) * value.Imaginary);

    public static Complex Log(Complex value) => new(Math.Log(value.Real), value.Imaginary / value.Real);

    public static Complex Tanh(Complex value)
    {
        double t = Math.Tanh(value.Real);
        return new Complex(t, value.Imaginary * (1 - t * t));
    }
}
