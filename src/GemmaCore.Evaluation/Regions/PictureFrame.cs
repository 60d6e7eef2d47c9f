namespace GemmaCore.Evaluation.Regions;

/// <summary>
/// Between pixels of a picture and the coordinates that MedGemma writes: shares of what it saw, in thousandths, y before x. What it saw is the picture itself, squashed
/// to a square, or the picture in the middle of a black square, as Google's server pads it; boxes of a padded picture have to be moved back.
/// </summary>
/// <param name="Width">Pixels in a row of the picture.</param>
/// <param name="Height">Rows of the picture.</param>
/// <param name="Padded">True where the model saw the picture padded to a square.</param>
public readonly record struct PictureFrame(int Width, int Height, bool Padded = false)
{
    /// <summary>The scale of <c>box_2d</c>.</summary>
    public const double Scale = 1000;

    private (double X, double Y) Extent => Padded ? (Math.Max(Width, Height), Math.Max(Width, Height)) : (Width, Height);

    // An odd pixel of padding goes to the right or bottom.
    private (int X, int Y) Offset => Padded ? ((Math.Max(Width, Height) - Width) / 2, (Math.Max(Width, Height) - Height) / 2) : (0, 0);

    /// <summary>A point in pixels from its shares (0 to 1), cut to the picture.</summary>
    public (double X, double Y) ToPixels(double shareX, double shareY) =>
        (Math.Clamp(shareX * Extent.X - Offset.X, 0, Width), Math.Clamp(shareY * Extent.Y - Offset.Y, 0, Height));

    /// <summary>A point in whole thousandths from its pixels.</summary>
    public (int X, int Y) ToThousandths(double x, double y) => ((int)Thousandth(x + Offset.X, Extent.X), (int)Thousandth(y + Offset.Y, Extent.Y));

    private static double Thousandth(double at, double extent) => Math.Clamp(Math.Round(at / extent * Scale), 0, Scale);
}
