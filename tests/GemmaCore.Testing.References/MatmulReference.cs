using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>y = x·wᵀ + b with w stored [outputs, inputs], one sum after the other.</summary>
public static class MatmulReference
{
    public static T[] Forward<T, F>(T[] x, double[] w, double[] bias, int inputs)
        where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        int rows = x.Length / inputs, outputs = w.Length / inputs;
        var y = new T[rows * outputs];
        for (int row = 0; row < rows; row++)
            for (int output = 0; output < outputs; output++)
            {
                T sum = F.Of(bias.Length == 0 ? 0 : bias[output]);
                for (int i = 0; i < inputs; i++) sum += x[row * inputs + i] * F.Of(w[output * inputs + i]);
                y[row * outputs + output] = sum;
            }

        return y;
    }

    /// <summary>The same matrix stored the other way round.</summary>
    public static double[] Transpose(double[] matrix, int columns)
    {
        int rows = matrix.Length / columns;
        var result = new double[matrix.Length];
        for (int row = 0; row < rows; row++)
            for (int column = 0; column < columns; column++) result[column * rows + row] = matrix[row * columns + column];
        return result;
    }
}
