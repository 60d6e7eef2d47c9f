using BitMiracle.LibTiff.Classic;

namespace GemmaCore.Inputs;

/// <summary>Parts of a TIFF page, from the tiles or strips that they lie in (LibTiff.NET, which turns every colour space into red, green and blue).</summary>
internal sealed class TiffPieces
{
    private readonly Tiff _tiff;
    private readonly int _width, _height, _across, _down;

    private TiffPieces(Tiff tiff, int width, int height, int across, int down) => (_tiff, _width, _height, _across, _down) = (tiff, width, height, across, down);

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
    public RgbImage? Read(PictureRegion region)
    {
        var pixels = new byte[3 * region.Width * region.Height];
        var raster = new int[_across * _down];
        int right = region.Left + region.Width, bottom = region.Top + region.Height;
        for (int top = region.Top / _down * _down; top < bottom; top += _down)
        {
            for (int left = region.Left / _across * _across; left < right; left += _across)
            {
                if (!(_tiff.IsTiled() ? _tiff.ReadRGBATile(left, top, raster) : _tiff.ReadRGBAStrip(top, raster))) return null;
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
}
