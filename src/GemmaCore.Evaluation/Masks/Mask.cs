namespace GemmaCore.Evaluation.Masks;

/// <summary>Which pixels belong to a structure: 0 for the background, other values for structures.</summary>
public sealed class Mask
{
    private readonly byte[] _values;

    /// <summary>A mask of given values, row by row.</summary>
    /// <exception cref="ArgumentException">There are not width × height values.</exception>
    public Mask(int width, int height, byte[] values)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (values.Length != (long)width * height) throw new ArgumentException($"{values.Length} values for {width} x {height} pixels", nameof(values));
        (Width, Height, _values) = (width, height, values);
    }

    /// <summary>Pixels in a row.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>The values, row by row.</summary>
    public ReadOnlySpan<byte> Values => _values;

    /// <summary>1 where a map of scores reaches a threshold, 0 elsewhere.</summary>
    /// <exception cref="ArgumentException">There are not width × height scores.</exception>
    public static Mask FromScores(int width, int height, ReadOnlySpan<float> scores, float threshold = 0.5f)
    {
        byte[] values = new byte[scores.Length];
        for (int i = 0; i < values.Length; i++) values[i] = scores[i] >= threshold ? (byte)1 : (byte)0;
        return new Mask(width, height, values);
    }

    /// <summary>
    /// 1 where a pixel's centre is inside a polygon by the even-odd rule, 0 elsewhere. Several rings are one shape: a ring inside another is a hole.
    /// </summary>
    /// <param name="width">Pixels in a row.</param>
    /// <param name="height">Rows.</param>
    /// <param name="rings">Corners in pixels, x to the right and y down from the top left corner of the picture; closed by themselves.</param>
    public static Mask FromPolygon(int width, int height, IReadOnlyList<IReadOnlyList<(double X, double Y)>> rings)
    {
        ArgumentNullException.ThrowIfNull(rings);
        byte[] values = new byte[checked(width * height)];
        var crossings = new List<double>();
        for (int row = 0; row < height; row++)
        {
            crossings.Clear();
            foreach (IReadOnlyList<(double X, double Y)> ring in rings) Cross(ring, row + 0.5, crossings);
            crossings.Sort();
            for (int i = 0; i + 1 < crossings.Count; i += 2)
            {
                int from = (int)Math.Clamp(Math.Ceiling(crossings[i] - 0.5), 0, width), to = (int)Math.Clamp(Math.Ceiling(crossings[i + 1] - 0.5), from, width);
                values.AsSpan(row * width + from, to - from).Fill(1);
            }
        }

        return new Mask(width, height, values);
    }

    // Where edges meet a line; of an edge's two ends only the upper one counts, so that a corner on the line counts once or twice as it must.
    private static void Cross(IReadOnlyList<(double X, double Y)> ring, double y, List<double> crossings)
    {
        for (int i = 0; i < ring.Count; i++)
        {
            ((double X, double Y) a, (double X, double Y) b) = (ring[i], ring[(i + 1) % ring.Count]);
            if (a.Y <= y != b.Y <= y) crossings.Add(a.X + ((y - a.Y) / (b.Y - a.Y) * (b.X - a.X)));
        }
    }
}
