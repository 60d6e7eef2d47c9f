namespace GemmaCore.Inputs;

/// <summary>
/// A picture of which parts are looked at. TIFF files with tiles or strips are unpacked as far as a part needs it, so a slide may be larger than memory holds pixels;
/// every other picture is decoded whole, once. Safe to use from several threads.
/// </summary>
internal sealed class LargePicture
{
    private readonly string _name;
    private readonly RgbImage? _whole;
    private readonly Func<PictureRegion, RgbImage> _read;

    private LargePicture(string name, int width, int height, RgbImage? whole, Func<PictureRegion, RgbImage> read) => (_name, Width, Height, _whole, _read) = (name, width, height, whole, read);

    public int Width { get; }

    public int Height { get; }

    /// <summary>How many of the pixels of a row are shown, of those that were scanned; less than 1 at a lower magnification.</summary>
    public double Share { get; private init; } = 1;

    /// <summary>Opens a picture.</summary>
    /// <param name="source">Where it comes from; its region does not matter.</param>
    /// <param name="applyOrientation">As for <see cref="ImageDecoder.Decode"/>.</param>
    /// <param name="maxPixels">Most pixels that are decoded at once.</param>
    /// <param name="window">As for <see cref="ImageDecoder.Decode"/>.</param>
    /// <exception cref="InputException">As for <see cref="ImageDecoder.Decode"/>.</exception>
    public static LargePicture Open(ImageSource source, bool applyOrientation = false, long maxPixels = ImageDecoder.DefaultMaxPixels, GreyWindow? window = null)
    {
        string name = source.Path ?? "image";
        TiffFile? tiff = source.Slice == 0 ? TiffFile.Of(source) : null;
        if (source.Magnification is { } magnification) return OpenSlide(tiff, name, source, magnification, maxPixels, source.Window ?? window);
        if (tiff is not null && (source.Window ?? window) is null && TiffPicture.SizeInPieces(tiff, source.Frame, maxPixels) is { } size)
            return new LargePicture(name, size.Width, size.Height, null, region => TiffPicture.ShowRegion(tiff, source.Frame, maxPixels, region));
        source = source with { Region = null };
        if (source.Slice == 0)
        {
            if (tiff is null) source = source with { Bytes = ImageDecoder.FileOf(source) };
            (int width, int height) = ImageDecoder.ReadSize(source);
            if ((long)width * height > maxPixels)
                throw new InputException($"{name}: {width} x {height} pixels are more than the {maxPixels} that are decoded at once; of a TIFF file in tiles only what is shown is decoded, e.g. vips tiffsave IN OUT.tif --tile");
        }

        RgbImage whole = ImageDecoder.Decode(source, applyOrientation, maxPixels, window);
        return new LargePicture(name, whole.Width, whole.Height, whole, region => whole.Crop(region.Left, region.Top, region.Width, region.Height));
    }

    /// <summary>A part of it; null for all.</summary>
    /// <exception cref="InputException">It does not lie within the picture, has too many pixels at once, or is damaged.</exception>
    public RgbImage Read(PictureRegion? region)
    {
        PictureRegion part = Within(region);
        return _whole is not null && part == new PictureRegion(0, 0, Width, Height) ? _whole : _read(part);
    }

    /// <summary>A part, null for all, that lies within the picture.</summary>
    /// <exception cref="InputException">It does not.</exception>
    public PictureRegion Within(PictureRegion? region)
    {
        PictureRegion part = region ?? new PictureRegion(0, 0, Width, Height);
        return part.Left >= 0 && part.Top >= 0 && part.Width >= 1 && part.Height >= 1 && part.Width <= Width - part.Left && part.Height <= Height - part.Top
            ? part
            : throw new InputException($"{_name}: the part at {part.Left}, {part.Top} of {part.Width} x {part.Height} pixels does not lie within the picture of {Width} x {Height}");
    }

    private static LargePicture OpenSlide(TiffFile? file, string name, ImageSource source, double magnification, long maxPixels, GreyWindow? window)
    {
        if (window is not null || file is null || TiffPicture.Pyramid(file, source.Frame, maxPixels) is not { } pyramid)
            throw new InputException($"{name}: a magnification was asked for, and only slides have one: coloured TIFF files in tiles or strips, without a window");
        double share = pyramid.Share(magnification);
        return new LargePicture(name, pyramid.Scan.Width, pyramid.Scan.Height, null, region =>
        {
            (SlideLevel level, PictureRegion part, int width, int height) = pyramid.Find(region, share);
            if ((long)part.Width * part.Height > maxPixels)
                throw new InputException($"{name}: {part.Width} x {part.Height} pixels of page {level.Page} are more than the {maxPixels} that are decoded at once; show a smaller part, tiles, or a lower magnification");
            RgbImage read = TiffPicture.ShowRegion(file, level.Page, maxPixels, part);
            return (width, height) == (part.Width, part.Height) ? read : PillowResize.Resize(read, width, height, ResampleFilter.Bilinear);
        })
        {
            Share = share,
        };
    }
}

/// <summary>Remembers the picture that was opened last, as long as memory is not wanted for something else: the tiles of a picture come one after another.</summary>
internal sealed class LastPicture
{
    private readonly Lock _turn = new();
    private ImageSource? _source;
    private (bool, long, GreyWindow?) _settings;
    private WeakReference<LargePicture>? _picture;

    /// <inheritdoc cref="LargePicture.Open"/>
    public LargePicture Open(ImageSource source, bool applyOrientation, long maxPixels, GreyWindow? window)
    {
        source = source with { Region = null };
        lock (_turn)
        {
            if (source == _source && _settings == (applyOrientation, maxPixels, window) && _picture!.TryGetTarget(out LargePicture? known)) return known;
            LargePicture opened = LargePicture.Open(source, applyOrientation, maxPixels, window);
            (_source, _settings, _picture) = (source, (applyOrientation, maxPixels, window), new WeakReference<LargePicture>(opened));
            return opened;
        }
    }
}
