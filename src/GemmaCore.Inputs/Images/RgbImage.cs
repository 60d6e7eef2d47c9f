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

    /// <summary>This picture in the middle of a black square; an odd pixel of black goes to the right or bottom. A square picture is itself.</summary>
    public RgbImage PaddedToSquare()
    {
        if (Width == Height) return this;
        int side = Math.Max(Width, Height), left = (side - Width) / 2, top = (side - Height) / 2;
        var pixels = new byte[checked(side * side * 3)];
        for (int row = 0; row < Height; row++)
            Pixels.AsSpan(row * Width * 3, Width * 3).CopyTo(pixels.AsSpan(((top + row) * side + left) * 3));
        return new RgbImage(side, side, pixels);
    }
}
