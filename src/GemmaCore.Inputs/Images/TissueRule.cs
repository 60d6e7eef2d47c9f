using System.Globalization;

namespace GemmaCore.Inputs;

/// <summary>
/// Which tiles of a slide are tissue. <c>hsv</c> looks at means of squares of 8 x 8 pixels, so that noise of a camera or of JPEG is no colour: a square is tissue where it
/// has at least a twentieth of the full saturation, which glass, white and grey have not, and is not black, which scanners write around a slide. A tile counts where
/// at least a share of its squares do.
/// </summary>
public sealed record TissueRule
{
    private const int Square = 8;
    private const double LeastSaturation = 0.05, LeastValue = 0.15, UsualShare = 0.25;

    private TissueRule(string name, double share) => (Name, Share) = (name, share);

    /// <summary>Every tile counts.</summary>
    public static TissueRule None { get; } = new("none", 0);

    /// <summary>By saturation and brightness, a quarter of the tile.</summary>
    public static TissueRule Hsv { get; } = new("hsv", UsualShare);

    /// <summary>What can be asked for.</summary>
    public static string Known => "hsv, hsv/SHARE (from 0 to 1) or none";

    /// <summary>As it was asked for.</summary>
    public string Name { get; }

    /// <summary>Least share of a tile that has to be tissue.</summary>
    public double Share { get; }

    /// <summary>A rule by its name.</summary>
    /// <exception cref="InputException">There is none of that name.</exception>
    public static TissueRule Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text == None.Name) return None;
        if (text == Hsv.Name) return Hsv;
        return text.StartsWith("hsv/", StringComparison.Ordinal) && double.TryParse(text.AsSpan(4), NumberStyles.Float, CultureInfo.InvariantCulture, out double share) && share is >= 0 and <= 1
            ? new TissueRule(text, share)
            : throw new InputException($"tissue rule '{text}' is unknown; expected {Known}");
    }

    /// <summary>Whether a tile counts.</summary>
    public bool Holds(RgbImage tile)
    {
        ArgumentNullException.ThrowIfNull(tile);
        if (Share == 0) return true;
        int squares = 0, tissue = 0;
        for (int top = 0; top < tile.Height; top += Square)
        {
            for (int left = 0; left < tile.Width; left += Square, squares++)
                if (IsTissue(tile, left, top)) tissue++;
        }

        return tissue >= Share * squares;
    }

    private static bool IsTissue(RgbImage tile, int left, int top)
    {
        int right = Math.Min(left + Square, tile.Width), bottom = Math.Min(top + Square, tile.Height), red = 0, green = 0, blue = 0;
        for (int row = top; row < bottom; row++)
        {
            for (int at = 3 * (row * tile.Width + left), end = 3 * (row * tile.Width + right); at < end; at += 3)
            {
                red += tile.Pixels[at];
                green += tile.Pixels[at + 1];
                blue += tile.Pixels[at + 2];
            }
        }

        int largest = Math.Max(red, Math.Max(green, blue)), smallest = Math.Min(red, Math.Min(green, blue));
        return largest >= LeastValue * 255 * (right - left) * (bottom - top) && largest - smallest >= LeastSaturation * largest;
    }
}
