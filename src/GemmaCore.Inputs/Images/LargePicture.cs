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

    /// <summary>Opens a picture.</summary>
    /// <param name="source">Where it comes from; its region does not matter.</param>
    /// <param name="applyOrientation">As for <see cref="ImageDecoder.Decode"/>.</param>
    /// <param name="maxPixels">Most pixels that are decoded at once.</param>
    /// <param name="window">As for <see cref="ImageDecoder.Decode"/>.</param>
    /// <exception cref="InputException">As for <see cref="ImageDecoder.Decode"/>.</exception>
    public static LargePicture Open(ImageSource source, bool applyOrientation = false, long maxPixels = ImageDecoder.DefaultMaxPixels, GreyWindow? window = null)
    {
        string name = source.Path ?? "image";
        ReadOnlyMemory<byte> file = source.Slice == 0 ? ImageDecoder.FileOf(source) : default;
        if ((source.Window ?? window) is null && TiffPicture.IsOne(file.Span) && TiffPicture.SizeInPieces(file, name, source.Frame, maxPixels) is { } size)
            return new LargePicture(name, size.Width, size.Height, null, region => TiffPicture.ShowRegion(file, name, source.Frame, maxPixels, region));
        source = source with { Region = null };
        if (source.Slice == 0)
        {
            source = source with { Bytes = file };
            (int width, int height) = ImageDecoder.ReadSize(source);
            if ((long)width * height > maxPixels)
                throw new InputException($"{name}: {width} x {height} pixels are more than the {maxPixels} that are decoded at once; of a TIFF file in tiles only what is shown is decoded, e.g. vips tiffsave IN OUT.tif --tile");
        }

        RgbImage whole = ImageDecoder.Decode(source, applyOrientation, maxPixels, window);
        return new LargePicture(name, whole.Width, whole.Height, whole, region => whole.Crop(region.Left, region.Top, region.Width, region.Height));
    }

    /// <summary>A part of it.</summary>
    /// <exception cref="InputException">It does not lie within the picture, or is damaged.</exception>
    public RgbImage Read(PictureRegion region)
    {
        if (region.Left < 0 || region.Top < 0 || region.Width < 1 || region.Height < 1 || region.Width > Width - region.Left || region.Height > Height - region.Top)
            throw new InputException($"{_name}: the part at {region.Left}, {region.Top} of {region.Width} x {region.Height} pixels does not lie within the picture of {Width} x {Height}");
        return _whole is not null && region == new PictureRegion(0, 0, Width, Height) ? _whole : _read(region);
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
