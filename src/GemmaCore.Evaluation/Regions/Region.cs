namespace GemmaCore.Evaluation.Regions;

/// <summary>A box or a polygon in pixels of a picture.</summary>
/// <param name="Bounds">The box; of a polygon the smallest one around it.</param>
/// <param name="Rings">Corners of the polygon's rings, a ring inside another is a hole; empty for a box.</param>
public sealed record Region(Box Bounds, IReadOnlyList<IReadOnlyList<(double X, double Y)>> Rings)
{
    /// <summary>What it holds; null when the answer does not say.</summary>
    public string? Label => Bounds.Label;

    /// <summary>The rings to fill: of a box its four corners.</summary>
    public IReadOnlyList<IReadOnlyList<(double X, double Y)>> Outline => Rings.Count > 0
        ? Rings
        : [[(Bounds.X1, Bounds.Y1), (Bounds.X2, Bounds.Y1), (Bounds.X2, Bounds.Y2), (Bounds.X1, Bounds.Y2)]];

    /// <summary>A box.</summary>
    public static Region Of(Box box) => new(box, []);

    /// <summary>A polygon.</summary>
    public static Region Of(IReadOnlyList<IReadOnlyList<(double X, double Y)>> rings, string? label)
    {
        (double X, double Y)[] corners = [.. rings.SelectMany(ring => ring)];
        return new Region(new Box(corners.Min(c => c.X), corners.Min(c => c.Y), corners.Max(c => c.X), corners.Max(c => c.Y), label), rings);
    }

    /// <summary>Area in pixels; of a polygon the sum of its rings' shoelaces, holes (turning the other way) taken off.</summary>
    public double Area => Rings.Count == 0 ? Bounds.Area : Math.Abs(Rings.Sum(Shoelace));

    private static double Shoelace(IReadOnlyList<(double X, double Y)> ring)
    {
        double sum = 0;
        for (int i = 0; i < ring.Count; i++)
        {
            ((double X, double Y) a, (double X, double Y) b) = (ring[i], ring[(i + 1) % ring.Count]);
            sum += a.X * b.Y - b.X * a.Y;
        }

        return sum / 2;
    }
}
