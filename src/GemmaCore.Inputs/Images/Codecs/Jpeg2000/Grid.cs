namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>A rectangle; right and bottom lie behind it.</summary>
internal readonly record struct GridArea(int Left, int Top, int Right, int Bottom)
{
    public int Width => Right - Left;

    public int Height => Bottom - Top;

    public bool IsEmpty => Right <= Left || Bottom <= Top;

    /// <summary>What of it lies on a grid of every so manieth column and row.</summary>
    public GridArea Thinned(int stepX, int stepY) => new(Grid.CeilingDivide(Left, stepX), Grid.CeilingDivide(Top, stepY), Grid.CeilingDivide(Right, stepX), Grid.CeilingDivide(Bottom, stepY));

    /// <summary>What of it lies in another.</summary>
    public GridArea Within(GridArea other) => new(Math.Max(Left, other.Left), Math.Max(Top, other.Top), Math.Min(Right, other.Right), Math.Min(Bottom, other.Bottom));
}

/// <summary>Arithmetic of places, none of which is negative.</summary>
internal static class Grid
{
    public static int CeilingDivide(int value, int divisor) => (int)(((long)value + divisor - 1) / divisor);

    /// <summary>Divided by a power of two, rounded up; the dividend may be negative.</summary>
    public static int CeilingShift(long value, int bits) => (int)((value + (1L << bits) - 1) >> bits);
}
