namespace GemmaCore.Inputs;

/// <summary>A decoded picture.</summary>
/// <param name="Width">Pixels per row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Pixels">[Height, Width, 3] bytes: red, green, blue.</param>
public sealed record RgbImage(int Width, int Height, byte[] Pixels)
{
    /// <summary>A rectangle of this picture, which must lie inside it.</summary>
    public RgbImage Crop(int left, int top, int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(left);
        ArgumentOutOfRangeException.ThrowIfNegative(top);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(left + width, Width);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(top + height, Height);
        var cropped = new byte[width * height * 3];
        for (int row = 0; row < height; row++)
            Pixels.AsSpan(((top + row) * Width + left) * 3, width * 3).CopyTo(cropped.AsSpan(row * width * 3));
        return new RgbImage(width, height, cropped);
    }
}
