using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>Mean over kernel × kernel windows of [N, side, side, D]; a remainder at the right and lower edge is left out.</summary>
public static class AveragePoolReference
{
    public static T[] Forward<T, F>(T[] x, int side, int kernel, int columns)
        where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        int cells = side / kernel, images = x.Length / (side * side * columns);
        var y = new T[images * cells * cells * columns];
        for (int image = 0; image < images; image++)
            for (int row = 0; row < cells * kernel; row++)
                for (int column = 0; column < cells * kernel; column++)
                    for (int i = 0; i < columns; i++)
                    {
                        int cell = (image * cells + row / kernel) * cells + column / kernel;
                        y[cell * columns + i] += x[((image * side + row) * side + column) * columns + i] / F.Of(kernel * kernel);
                    }

        return y;
    }
}
