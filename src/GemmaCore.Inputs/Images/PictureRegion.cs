using System.Globalization;

namespace GemmaCore.Inputs;

/// <summary>A rectangle of a picture, in the picture's own pixels.</summary>
/// <param name="Left">Columns to its left.</param>
/// <param name="Top">Rows above it.</param>
/// <param name="Width">Columns.</param>
/// <param name="Height">Rows.</param>
public readonly record struct PictureRegion(int Left, int Top, int Width, int Height)
{
    /// <summary>A rectangle as people write it: <c>x,y,width,height</c>.</summary>
    /// <exception cref="InputException">Not four whole numbers, or nothing lies in it.</exception>
    public static PictureRegion Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        int[] numbers = [.. text.Split(',').Select(number => int.TryParse(number, NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out int value) ? value : -1)];
        return numbers is [>= 0, >= 0, > 0, > 0]
            ? new PictureRegion(numbers[0], numbers[1], numbers[2], numbers[3])
            : throw new InputException($"region: expected x,y,width,height in whole pixels, e.g. 12000,8000,4096,4096, got '{text}'");
    }
}
