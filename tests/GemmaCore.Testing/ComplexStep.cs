using System.Numerics;

namespace GemmaCore.Testing;

/// <summary>
/// Gradients without finite-difference noise: f(x + ih).Imaginary / h is the derivative to the last bit for a step of 1e-50
/// (Squire and Trapp, SIAM Review 40, 1998).
/// </summary>
public static class ComplexStep
{
    private const double Step = 1e-50;

    /// <summary>dX of Σ dY·f(x), one element of x at a time.</summary>
    public static double[] Gradient(double[] x, double[] dY, Func<Complex[], Complex[]> f)
    {
        var gradient = new double[x.Length];
        var point = Array.ConvertAll(x, v => new Complex(v, 0));
        for (int i = 0; i < x.Length; i++)
        {
            point[i] = new Complex(x[i], Step);
            Complex[] y = f(point);
            double sum = 0;
            for (int j = 0; j < y.Length; j++) sum += dY[j] * y[j].Imaginary;
            gradient[i] = sum / Step;
            point[i] = x[i];
        }

        return gradient;
    }
}
