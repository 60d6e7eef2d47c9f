using System.Globalization;
using BitMiracle.LibTiff.Classic;

namespace GemmaCore.Inputs;

/// <summary>A page of a slide's file that shows all of it, in fewer pixels than another.</summary>
/// <param name="Page">From 1.</param>
/// <param name="Width">Columns.</param>
/// <param name="Height">Rows.</param>
internal readonly record struct SlideLevel(int Page, int Width, int Height);

/// <summary>
/// The pages of a TIFF file that are one slide in falling sizes, and the magnification of the largest. Scanners store them as pages of the same shape in the same kind of pieces; labels and
/// overviews have another shape, Aperio's thumbnail is in strips.
/// </summary>
internal sealed class SlidePyramid
{
    // Scanners' 40x are 39.6 as well, and halved sizes are rounded.
    private const double Alike = 0.02;

    // 10x is a micrometre a pixel, by the objectives and cameras of today's scanners. What is coarser than ten of them is the resolution of a printer.
    private const double MicrometresAtOne = 10, Least = 1, Most = 400;

    private readonly string _name;
    private readonly IReadOnlyList<SlideLevel> _levels; // the largest first
    private readonly double? _magnification;

    private SlidePyramid(string name, IReadOnlyList<SlideLevel> levels, double? magnification) => (_name, _levels, _magnification) = (name, levels, magnification);

    public SlideLevel Scan => _levels[0];

    /// <summary>The pyramid below a page.</summary>
    /// <param name="tiff">The file, at the page, where it is not left.</param>
    /// <param name="name">Its name, for complaints.</param>
    public static SlidePyramid Of(Tiff tiff, string name)
    {
        int Field(TiffTag tag) => tiff.GetField(tag) is [var value, ..] ? value.ToInt() : 0;
        var scan = new SlideLevel(tiff.CurrentDirectory() + 1, Field(TiffTag.IMAGEWIDTH), Field(TiffTag.IMAGELENGTH));
        bool isTiled = tiff.IsTiled();
        double? magnification = MagnificationOf(tiff);
        List<SlideLevel> levels = [scan];
        while (!tiff.LastDirectory() && tiff.ReadDirectory())
        {
            var level = new SlideLevel(tiff.CurrentDirectory() + 1, Field(TiffTag.IMAGEWIDTH), Field(TiffTag.IMAGELENGTH));
            if (tiff.IsTiled() == isTiled && level.Width < levels[^1].Width && IsSmaller(scan, level)) levels.Add(level);
        }

        return new SlidePyramid(name, levels, magnification);
    }

    /// <summary>How many pixels of a row are left at a magnification, of those that were scanned: 1 for all.</summary>
    /// <exception cref="InputException">The file does not say at which it was scanned, or that was a lower one.</exception>
    public double Share(double magnification)
    {
        if (_magnification is not { } scanned)
            throw new InputException($"{_name}: does not say at which magnification it was scanned, by an Aperio description (AppMag) or a resolution; leave the magnification out and give sizes in its own pixels");
        return magnification <= scanned * (1 + Alike)
            ? Math.Min(1, magnification / scanned)
            : throw new InputException(string.Create(CultureInfo.InvariantCulture, $"{_name}: was scanned at {scanned:0.##}x, and {magnification:0.##}x was asked for"));
    }

    /// <summary>Where a part of the slide lies on the smallest page that has enough of its pixels.</summary>
    /// <param name="region">In pixels of the scan.</param>
    /// <param name="share">As for <see cref="Share"/>.</param>
    /// <returns>The page, the part on it, and the size that the part has at this share: the same where the page is the one.</returns>
    public (SlideLevel Level, PictureRegion Part, int Width, int Height) Find(PictureRegion region, double share)
    {
        SlideLevel level = _levels.Last(level => level.Page == Scan.Page || level.Width >= Scan.Width * share * (1 - Alike));
        (double across, double down) = ((double)level.Width / Scan.Width, (double)level.Height / Scan.Height);
        int width = Length(region.Width * share), height = Length(region.Height * share);
        bool isTheOne = Math.Abs(across / share - 1) <= Alike;
        int partWidth = Math.Min(level.Width, isTheOne ? width : Length(region.Width * across)), partHeight = Math.Min(level.Height, isTheOne ? height : Length(region.Height * down));
        var part = new PictureRegion(Math.Min((int)Math.Round(region.Left * across), level.Width - partWidth), Math.Min((int)Math.Round(region.Top * down), level.Height - partHeight), partWidth, partHeight);
        return (level, part, isTheOne ? partWidth : width, isTheOne ? partHeight : height);
    }

    private static int Length(double pixels) => Math.Max(1, (int)Math.Round(pixels));

    private static bool IsSmaller(SlideLevel scan, SlideLevel level) => Math.Abs((double)scan.Height * level.Width / scan.Width - level.Height) <= 1 + Alike * level.Height;

    private static double? MagnificationOf(Tiff tiff)
    {
        const string key = "AppMag";
        string description = tiff.GetField(TiffTag.IMAGEDESCRIPTION) is [var text, ..] ? text.ToString() : "";
        double stated = description.Split('|').Select(entry => entry.Split('=', StringSplitOptions.TrimEntries)).Where(entry => entry.Length == 2 && entry[0] == key)
            .Select(entry => double.TryParse(entry[1], NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : 0).FirstOrDefault();
        if (stated is >= Least and <= Most) return stated;
        double pixels = tiff.GetField(TiffTag.XRESOLUTION) is [var resolution, ..] ? resolution.ToDouble() : 0;
        double micrometres = (ResUnit)(tiff.GetFieldDefaulted(TiffTag.RESOLUTIONUNIT) is [var unit, ..] ? unit.ToInt() : 0) switch { ResUnit.CENTIMETER => 10_000 / pixels, ResUnit.INCH => 25_400 / pixels, _ => 0 };
        return MicrometresAtOne / micrometres is >= Least and <= Most and var magnification ? magnification : null;
    }
}
