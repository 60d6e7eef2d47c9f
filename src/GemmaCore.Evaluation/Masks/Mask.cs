namespace GemmaCore.Evaluation;

/// <summary>A class number for each pixel of a picture; 0 is background.</summary>
/// <param name="Width">Pixels across.</param>
/// <param name="Height">Pixels down.</param>
/// <param name="Classes">Row by row.</param>
public sealed record Mask(int Width, int Height, byte[] Classes)
{
    /// <summary>The mask of a grey map: 1 where a value, as a share of white, is at or above the threshold.</summary>
    /// <param name="width">Pixels across.</param>
    /// <param name="height">Pixels down.</param>
    /// <param name="grey">Values from 0 to 255, row by row.</param>
    /// <param name="threshold">Between 0 and 1; a value of 0 is always background.</param>
    public static Mask Threshold(int width, int height, ReadOnlySpan<byte> grey, double threshold)
    {
        byte[] classes = new byte[width * height];
        for (int i = 0; i < classes.Length; i++)
            if (grey[i] > 0 && grey[i] / 255.0 >= threshold) classes[i] = 1;
        return new Mask(width, height, classes);
    }

    /// <summary>
    /// The mask of polygons by the even-odd rule: a pixel belongs to them when its centre lies inside an odd number of their edges, so a second outline cuts a hole.
    /// </summary>
    /// <param name="width">Pixels across.</param>
    /// <param name="height">Pixels down.</param>
    /// <param name="polygons">Corners in pixels, the first joined to the last.</param>
    public static Mask Fill(int width, int height, IReadOnlyList<IReadOnlyList<(double X, double Y)>> polygons)
    {
        ArgumentNullException.ThrowIfNull(polygons);
        byte[] classes = new byte[width * height];
        var crossings = new List<double>();
        for (int row = 0; row < height; row++)
        {
            double y = row + 0.5;
            crossings.Clear();
            foreach (IReadOnlyList<(double X, double Y)> corners in polygons)
            {
                for (int i = 0; i < corners.Count; i++)
                {
                    ((double x1, double y1), (double x2, double y2)) = (corners[i], corners[(i + 1) % corners.Count]);
                    // Half-open in y, so that a corner on the line counts once.
                    if (y1 <= y != y2 <= y) crossings.Add(x1 + (y - y1) / (y2 - y1) * (x2 - x1));
                }
            }

            crossings.Sort();
            for (int i = 0; i + 1 < crossings.Count; i += 2)
                for (int column = (int)Math.Max(0, Math.Ceiling(crossings[i] - 0.5)); column < width && column + 0.5 < crossings[i + 1]; column++) classes[row * width + column] = 1;
        }

        return new Mask(width, height, classes);
    }
}
