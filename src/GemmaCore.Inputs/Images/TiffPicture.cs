using System.Buffers.Binary;
using BitMiracle.LibTiff.Classic;

namespace GemmaCore.Inputs;

/// <summary>
/// Pages of TIFF files (LibTiff.NET): grey of more than 8 bits with all bits, for a window; everything else as red, green and blue of 8 bits.
/// </summary>
internal sealed class TiffPicture
{
    private const int MostSamples = 8;

    private readonly Tiff _tiff;
    private readonly string _name;
    private readonly int _width, _height, _bits;
    private readonly SampleFormat _format;

    static TiffPicture() => Tiff.SetErrorHandler(new TiffComplaints());

    private TiffPicture(Tiff tiff, string name)
    {
        (_tiff, _name) = (tiff, name);
        _width = Field(TiffTag.IMAGEWIDTH, 0);
        _height = Field(TiffTag.IMAGELENGTH, 0);
        _bits = Field(TiffTag.BITSPERSAMPLE, 1);
        _format = (SampleFormat)Field(TiffTag.SAMPLEFORMAT, (int)SampleFormat.UINT);
        if (_width <= 0 || _height <= 0) throw Damaged("it has no pixels");
        // The library makes room for all samples of a tile or strip, and a page may claim thousands a pixel.
        if (_bits is < 1 or > 64 || Field(TiffTag.SAMPLESPERPIXEL, 1) is < 1 or > MostSamples) throw Damaged($"it claims {Field(TiffTag.SAMPLESPERPIXEL, 1)} samples of {_bits} bits for a pixel");
        IsDeep = Field(TiffTag.SAMPLESPERPIXEL, 1) == 1 && _bits > 8 && Photometric is BitMiracle.LibTiff.Classic.Photometric.MINISBLACK or BitMiracle.LibTiff.Classic.Photometric.MINISWHITE;
    }

    private bool IsDeep { get; }

    private Photometric Photometric => (Photometric)Field(TiffTag.PHOTOMETRIC, -1);

    /// <summary>Width and height of a page.</summary>
    /// <exception cref="InputException">It is not there, or damaged.</exception>
    public static (int Width, int Height) ReadSize(TiffFile file, int page) =>
        With(file, page, picture => (picture._width, picture._height));

    /// <summary>A page as a picture.</summary>
    /// <param name="file">The file.</param>
    /// <param name="page">From 1.</param>
    /// <param name="maxPixels">Refuse larger pictures before they are unpacked.</param>
    /// <param name="window">For grey of more than 8 bits; null for the upper 8 of 16.</param>
    /// <exception cref="InputException">It is not there, too large, damaged, or needs a window.</exception>
    public static RgbImage Show(TiffFile file, int page, long maxPixels, GreyWindow? window) => With(file, page, picture => picture.Shown(maxPixels, window));

    /// <summary>The same, with what else can be chosen; values that are no brightness from the smallest to the largest where no window is given.</summary>
    /// <exception cref="InputException">As for <see cref="Show"/>.</exception>
    public static PictureView View(TiffFile file, int page, long maxPixels, GreyWindow? window) => With(file, page, picture => picture.View(maxPixels, window));

    /// <summary>Width and height of a page of which parts can be unpacked: coloured or of 8 bits, the first row on top, in pieces that are not too large; null for another.</summary>
    /// <exception cref="InputException">It is not there, or damaged.</exception>
    public static (int Width, int Height)? SizeInPieces(TiffFile file, int page, long maxPixels) => With(file, page, picture =>
        picture.IsInPieces(maxPixels) ? (picture._width, picture._height) : ((int, int)?)null);

    /// <summary>Such a page with the smaller copies of it; null for another page.</summary>
    /// <exception cref="InputException">It is not there, or damaged.</exception>
    public static SlidePyramid? Pyramid(TiffFile file, int page, long maxPixels) => With(file, page, picture => picture.IsInPieces(maxPixels) ? SlidePyramid.Of(picture._tiff, file.Name) : null);

    /// <summary>A part of such a page.</summary>
    /// <exception cref="InputException">It is damaged.</exception>
    public static RgbImage ShowRegion(TiffFile file, int page, long maxPixels, PictureRegion region) => With(file, page, picture => picture.Region(maxPixels, region));

    private static T With<T>(TiffFile file, int page, Func<TiffPicture, T> use)
    {
        string name = file.Name;
        using Stream stream = file.Open();
        // The library loses its way among places of 64 bits whose upper byte comes first.
        if (file is { IsBig: true, IsSwapped: true }) throw new InputException($"{name}: BigTIFF in big-endian order is not read here; save it anew, e.g. vips tiffsave IN OUT.tif --tile --bigtiff");
        if (!TiffDirectories.AreSound(stream, file.IsBig, file.IsSwapped)) throw new InputException($"{name}: the TIFF file is damaged or cut off: its directories make no sense");
        stream.Position = 0; // where the library begins to read
        try
        {
            return Use(stream, name, page, use);
        }
        catch (Exception error) when (error is IndexOutOfRangeException or ArgumentException or NullReferenceException or InvalidCastException or ArithmeticException or FormatException
            or IOException or OutOfMemoryException)
        {
            // The library does not check everything that a damaged file may say; the fuzzer knows no other exceptions of it.
            throw new InputException($"{name}: the TIFF file is damaged or cut off", error);
        }
    }

    private static T Use<T>(Stream stream, string name, int page, Func<TiffPicture, T> use)
    {
        using Tiff? tiff = Tiff.ClientOpen(name, "rm", stream, new TiffStream());
        if (tiff is null || page < 1 || (page > 1 && !tiff.SetDirectory((short)Math.Min(page - 1, short.MaxValue))))
            throw new InputException(tiff is null ? $"{name}: the TIFF file is damaged: its first page cannot be found" : $"{name}: there is no page {page}; pages of TIFF files count from 1");
        return use(new TiffPicture(tiff, name));
    }

    private void Require(long maxPixels)
    {
        if ((long)_width * _height > Math.Min(maxPixels, Array.MaxLength / 8)) throw new InputException($"{_name}: {_width} x {_height} pixels are more than the {maxPixels} allowed; scale the picture down first");
        long piece = _tiff.IsTiled() ? (long)Field(TiffTag.TILEWIDTH, 0) * Field(TiffTag.TILELENGTH, 0) : 0;
        // Tiles are unpacked whole, whatever the size of the picture.
        if (piece < 0 || piece > Math.Max(maxPixels, 1 << 20)) throw Damaged("its tiles are larger than any picture");
    }

    private RgbImage Shown(long maxPixels, GreyWindow? window)
    {
        Require(maxPixels);
        if (IsDeep) return Grey(window).Show(window);
        if (window is null && TiffPieces.AreJpeg2000(_tiff)) return Region(maxPixels, new PictureRegion(0, 0, _width, _height));
        return window is null ? Colours() : throw new InputException($"{_name}: window '{window.Name}' was asked for, and the picture has 8 bits or colours; leave the window out");
    }

    private PictureView View(long maxPixels, GreyWindow? window)
    {
        int pages = _tiff.NumberOfDirectories();
        if (!IsDeep) return new PictureView { Picture = Shown(maxPixels, window), Frames = pages };
        Require(maxPixels);
        GreyWindow usual = IsBrightness ? GreyWindow.Unchanged : GreyWindow.Full;
        return PictureView.Of(Grey(IsBrightness ? window : window ?? usual) with { DefaultWindow = usual }, window, pages);
    }

    private bool IsInPieces(long maxPixels) => !IsDeep && Field(TiffTag.ORIENTATION, 1) == 1 && TiffPieces.Of(_tiff, _width, _height, maxPixels) is not null;

    private bool IsBrightness => _bits == 16 && _format == SampleFormat.UINT;

    // Through no window, the upper byte of each value.
    private GreyPicture Grey(GreyWindow? window)
    {
        if (_format is not (SampleFormat.UINT or SampleFormat.INT or SampleFormat.IEEEFP) || _bits is not (16 or 32) || (_bits == 16 && _format == SampleFormat.IEEEFP))
            throw Damaged($"samples of {_bits} bits and format {(int)_format} are not read here");
        double[] values = Values();
        if (window is null)
        {
            if (!IsBrightness) throw new InputException($"{_name}: holds values that are no brightness; say which become black and white, e.g. --window full");
            window = GreyWindow.Unchanged;
            for (int i = 0; i < values.Length; i++) values[i] = (int)values[i] >> 8;
        }

        return new GreyPicture
        {
            Name = _name, Width = _width, Height = _height, Values = values, DefaultWindow = window, IsInverted = Photometric == BitMiracle.LibTiff.Classic.Photometric.MINISWHITE,
        };
    }

    // Strips are tiles as wide as the picture.
    private double[] Values()
    {
        bool tiled = _tiff.IsTiled();
        int across = tiled ? Field(TiffTag.TILEWIDTH, 0) : _width, down = tiled ? Field(TiffTag.TILELENGTH, 0) : Math.Clamp(Field(TiffTag.ROWSPERSTRIP, _height), 1, _height);
        if (across <= 0 || down <= 0) throw Damaged("its tiles have no size");
        int sampleBytes = _bits / 8, piece = 0;
        var buffer = new byte[(long)across * down * sampleBytes];
        var values = new double[_width * _height];
        for (int top = 0; top < _height; top += down)
        {
            for (int left = 0; left < _width; left += across, piece++)
            {
                int rows = Math.Min(down, _height - top), wanted = (tiled ? down : rows) * across * sampleBytes;
                int read = tiled ? _tiff.ReadEncodedTile(piece, buffer, 0, wanted) : _tiff.ReadEncodedStrip(piece, buffer, 0, wanted);
                if (read != wanted) throw Damaged("its pixels are damaged or cut off");
                for (int row = 0; row < rows; row++)
                    for (int column = 0; column < Math.Min(across, _width - left); column++)
                        values[(top + row) * _width + left + column] = Value(buffer.AsSpan((row * across + column) * sampleBytes));
            }
        }

        return values;
    }

    // LibTiff hands out the machine's own order of bytes.
    private double Value(ReadOnlySpan<byte> sample)
    {
        double value = (_bits, _format) switch
        {
            (16, SampleFormat.INT) => BinaryPrimitives.ReadInt16LittleEndian(sample),
            (16, _) => BinaryPrimitives.ReadUInt16LittleEndian(sample),
            (_, SampleFormat.INT) => BinaryPrimitives.ReadInt32LittleEndian(sample),
            (_, SampleFormat.IEEEFP) => BinaryPrimitives.ReadSingleLittleEndian(sample),
            _ => BinaryPrimitives.ReadUInt32LittleEndian(sample),
        };
        return double.IsFinite(value) ? value : throw Damaged("a value is not a number");
    }

    private RgbImage Region(long maxPixels, PictureRegion region) =>
        TiffComplaints.Heed(() => TiffPieces.Of(_tiff, _width, _height, maxPixels)?.Read(region)) ?? throw Damaged("its pixels are damaged, cut off, or of a kind that is not read here");

    private RgbImage Colours()
    {
        var raster = new int[_width * _height];
        if (!_tiff.ReadRGBAImageOriented(_width, _height, raster, Orientation.TOPLEFT, stopOnError: true)) throw Damaged("its pixels are damaged, cut off, or of a kind that is not read here");
        var pixels = new byte[3 * raster.Length];
        for (int i = 0; i < raster.Length; i++)
            (pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]) = ((byte)Tiff.GetR(raster[i]), (byte)Tiff.GetG(raster[i]), (byte)Tiff.GetB(raster[i]));
        return new RgbImage(_width, _height, pixels);
    }

    private int Field(TiffTag tag, int fallback) => _tiff.GetFieldDefaulted(tag) is [var value, ..] ? value.ToInt() : fallback;

    private InputException Damaged(string what) => new($"{_name}: the TIFF file is damaged: {what}");
}
