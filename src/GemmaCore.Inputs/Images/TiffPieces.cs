using BitMiracle.LibTiff.Classic;
using GemmaCore.Inputs.Codecs;
using GemmaCore.Inputs.Codecs.Jpeg2000;

namespace GemmaCore.Inputs;

/// <summary>Parts of a TIFF page, from the tiles or strips that they lie in (LibTiff.NET, which turns every colour space into red, green and blue; tiles of JPEG 2000, which it does not know, are unpacked here).</summary>
internal sealed class TiffPieces
{
    // Aperio's numbers for JPEG 2000, the first with brightness and colour differences.
    private const int Jpeg2000Ycbcr = 33003, Jpeg2000Rgb = 33005;

    private readonly Tiff _tiff;
    private readonly int _width, _height, _across, _down;

    private TiffPieces(Tiff tiff, int width, int height, int across, int down) => (_tiff, _width, _height, _across, _down) = (tiff, width, height, across, down);

    /// <summary>Whether a page has tiles of JPEG 2000.</summary>
    public static bool AreJpeg2000(Tiff tiff) => tiff.IsTiled() && PackingOf(tiff) is Jpeg2000Ycbcr or Jpeg2000Rgb;

    /// <summary>Null where a piece has more pixels than are allowed.</summary>
    public static TiffPieces? Of(Tiff tiff, int width, int height, long maxPixels)
    {
        int Field(TiffTag tag, int fallback) => tiff.GetFieldDefaulted(tag) is [var value, ..] ? value.ToInt() : fallback;
        int across = tiff.IsTiled() ? Field(TiffTag.TILEWIDTH, 0) : width, down = tiff.IsTiled() ? Field(TiffTag.TILELENGTH, 0) : Field(TiffTag.ROWSPERSTRIP, height);
        if (down < 0) down = height; // "all rows" is the largest number that there is
        if (!tiff.IsTiled()) down = Math.Min(down, height);
        return across > 0 && down > 0 && (long)across * down <= Math.Min(maxPixels, Array.MaxLength / 8) ? new TiffPieces(tiff, width, height, across, down) : null;
    }

    /// <summary>A part of the page; null where a piece of it is damaged.</summary>
    /// <exception cref="InputException">A tile of JPEG 2000 is.</exception>
    public RgbImage? Read(PictureRegion region)
    {
        var pixels = new byte[3 * region.Width * region.Height];
        var raster = new int[_across * _down];
        int right = region.Left + region.Width, bottom = region.Top + region.Height;
        for (int top = region.Top / _down * _down; top < bottom; top += _down)
        {
            for (int left = region.Left / _across * _across; left < right; left += _across)
            {
                if (!TryRead(left, top, raster)) return null;
                // Rows come from the lowest up; a strip at the end of the page has fewer.
                int rows = _tiff.IsTiled() ? _down : Math.Min(_down, _height - top);
                for (int y = Math.Max(top, region.Top); y < Math.Min(top + rows, bottom); y++)
                {
                    for (int x = Math.Max(left, region.Left); x < Math.Min(left + _across, right); x++)
                    {
                        int value = raster[(rows - 1 - (y - top)) * _across + x - left], at = 3 * ((y - region.Top) * region.Width + x - region.Left);
                        (pixels[at], pixels[at + 1], pixels[at + 2]) = ((byte)Tiff.GetR(value), (byte)Tiff.GetG(value), (byte)Tiff.GetB(value));
                    }
                }
            }
        }

        return new RgbImage(region.Width, region.Height, pixels);
    }

    private static int PackingOf(Tiff tiff) => tiff.GetField(TiffTag.COMPRESSION) is [var value, ..] ? value.ToInt() : 0;

    private bool TryRead(int left, int top, int[] raster)
    {
        if (AreJpeg2000(_tiff)) return TryReadJpeg2000(left, top, raster);
        return _tiff.IsTiled() ? _tiff.ReadRGBATile(left, top, raster) : _tiff.ReadRGBAStrip(top, raster);
    }

    // As the library hands tiles out: the lowest row first, red in the lowest byte.
    private bool TryReadJpeg2000(int left, int top, int[] raster)
    {
        int tile = _tiff.ComputeTile(left, top, 0, 0);
        var packed = new byte[Math.Max(0, _tiff.RawTileSize(tile))];
        int length = _tiff.ReadRawTile(tile, packed, 0, packed.Length);
        if (length <= 0) return false;
        CodedPicture decoded = Jpeg2000Picture.Decode(packed.AsSpan(0, length), _tiff.FileName(), (long)_across * _down);
        if ((decoded.Width, decoded.Height, decoded.Bits) != (_across, _down, 8) || decoded.Components is not (1 or 3)) return false;
        bool isYcbcr = PackingOf(_tiff) == Jpeg2000Ycbcr && decoded.Components == 3;
        for (int i = 0; i < raster.Length; i++)
        {
            ReadOnlySpan<ushort> samples = decoded.Samples.AsSpan(i * decoded.Components, decoded.Components);
            (int red, int green, int blue) = (samples[0], samples[^1], samples[^1]);
            if (decoded.Components == 3) green = samples[1];
            if (isYcbcr) (red, green, blue) = YcbcrColour.Rgb(red, green, blue);
            raster[(_down - 1 - i / _across) * _across + i % _across] = red | green << 8 | blue << 16;
        }

        return true;
    }
}
