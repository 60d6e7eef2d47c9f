using BitMiracle.LibTiff.Classic;
using GemmaCore.Inputs;
using SkiaSharp;

namespace GemmaCore.Testing.Medical;

/// <summary>Makes slides for tests: glass with noise, and rectangles of stained tissue on it.</summary>
public static class Slides
{
    /// <summary>Glass of a grey level or two, tissue of pinks, no two neighbouring pixels alike.</summary>
    public static RgbImage Picture(int width, int height, params PictureRegion[] tissue)
    {
        var pixels = new byte[3 * width * height];
        for (int i = 0; i < width * height; i++)
        {
            (int x, int y) = (i % width, i / width);
            bool stained = Array.Exists(tissue, region => x >= region.Left && y >= region.Top && x < region.Left + region.Width && y < region.Top + region.Height);
            int grain = (x * 31 + y * 17 + x * y % 7) % 9;
            (pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]) = stained ? ((byte)(200 + grain), (byte)(120 + 2 * grain), (byte)(180 - grain)) : ((byte)(240 + grain), (byte)(241 + grain), (byte)(242 + grain % 5));
        }

        return new RgbImage(width, height, pixels);
    }

    /// <summary>As PNG.</summary>
    public static byte[] Png(RgbImage image)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(image.Width, image.Height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        for (int i = 0; i < image.Width * image.Height; i++)
            bitmap.SetPixel(i % image.Width, i / image.Width, new SKColor(image.Pixels[3 * i], image.Pixels[3 * i + 1], image.Pixels[3 * i + 2]));
        using SKData data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }

    /// <summary>As TIFF, one page for each picture.</summary>
    /// <param name="tile">Side of a tile, a multiple of 16; 0 for strips of 7 rows.</param>
    /// <param name="compression">How pieces are packed.</param>
    /// <param name="pages">The pictures.</param>
    public static byte[] Tiff(int tile, Compression compression, params RgbImage[] pages) => Tiff("w", tile, compression, pages);

    /// <summary>The same as BigTIFF.</summary>
    public static byte[] BigTiff(int tile, Compression compression, params RgbImage[] pages) => Tiff("w8l", tile, compression, pages);

    /// <summary>As TIFF in tiles of 16, with a description and a resolution, and smaller levels.</summary>
    public static byte[] Described(RgbImage picture, string description, float resolution, ResUnit unit, params RgbImage[] levels) => Tiff("w", 16, Compression.LZW, [picture, .. levels], tiff =>
    {
        tiff.SetField(TiffTag.IMAGEDESCRIPTION, description);
        tiff.SetField(TiffTag.XRESOLUTION, resolution);
        tiff.SetField(TiffTag.RESOLUTIONUNIT, unit);
    });

    /// <summary>A file of any length on the disk that holds, but for one page in plain tiles of 16 from a place on, nothing: a sparse one, which takes no room.</summary>
    /// <param name="path">The file.</param>
    /// <param name="picture">What the page shows; its sides are multiples of 16.</param>
    /// <param name="at">Where tiles, lists and directory begin.</param>
    /// <param name="isBig">BigTIFF, else TIFF.</param>
    public static void Far(string path, RgbImage picture, long at, bool isBig)
    {
        using var file = new BinaryWriter(File.Create(path));
        int columns = picture.Width / 16, tiles = columns * (picture.Height / 16), tileBytes = 3 * 16 * 16;
        long offsets = at + tiles * tileBytes, lengths = offsets + 8 * tiles, directory = lengths + 8 * tiles;
        void Place(long place)
        {
            if (isBig) file.Write(place);
            else file.Write((uint)place);
        }

        void Entry(short tag, int count, long value) // numbers of 32 bits, and in BigTIFF lists of 64
        {
            file.Write(tag);
            file.Write((short)(isBig && count > 1 ? 16 : 4));
            Place(count);
            Place(value);
        }

        file.Write(isBig ? "II+\0\u0008\0\0\0"u8 : "II*\0"u8);
        Place(directory);
        file.BaseStream.Position = at;
        for (int tile = 0; tile < tiles; tile++) file.Write(Piece(picture, tile % columns * 16, tile / columns * 16, 16, 16));
        for (int tile = 0; tile < tiles; tile++) Place(at + (long)tile * tileBytes);
        file.BaseStream.Position = lengths;
        for (int tile = 0; tile < tiles; tile++) Place(tileBytes);
        file.BaseStream.Position = directory;
        (short Tag, int Count, long Value)[] entries =
        [
            (256, 1, picture.Width), (257, 1, picture.Height), (258, 1, 8), (259, 1, 1), (262, 1, 2), (277, 1, 3), (284, 1, 1), (322, 1, 16), (323, 1, 16), (324, tiles, offsets), (325, tiles, lengths),
        ];
        if (isBig) file.Write((long)entries.Length);
        else file.Write((short)entries.Length);
        foreach ((short tag, int count, long value) in entries) Entry(tag, count, value);
        Place(0);
    }

    private static byte[] Tiff(string mode, int tile, Compression compression, RgbImage[] pages, Action<Tiff>? describe = null)
    {
        using var stream = new MemoryStream();
        using (Tiff tiff = BitMiracle.LibTiff.Classic.Tiff.ClientOpen("slide", mode, stream, new TiffStream()))
        {
            foreach (RgbImage page in pages)
            {
                Describe(tiff, page, tile, compression);
                describe?.Invoke(tiff);
                int across = tile > 0 ? tile : page.Width, down = tile > 0 ? tile : 7, piece = 0;
                for (int top = 0; top < page.Height; top += down)
                {
                    for (int left = 0; left < page.Width; left += across, piece++)
                    {
                        byte[] bytes = Piece(page, left, top, across, tile > 0 ? down : Math.Min(down, page.Height - top));
                        _ = tile > 0 ? tiff.WriteEncodedTile(piece, bytes, bytes.Length) : tiff.WriteEncodedStrip(piece, bytes, bytes.Length);
                    }
                }

                tiff.WriteDirectory();
            }

            tiff.Flush();
            return stream.ToArray();
        }
    }

    /// <summary>As TIFF of one page whose tiles are all the same, packed in a way that the library does not write.</summary>
    /// <param name="packing">The number that stands for it.</param>
    /// <param name="page">What the page shows; its colours do not matter.</param>
    /// <param name="width">Of a tile, a multiple of 16.</param>
    /// <param name="height">Likewise.</param>
    /// <param name="tile">A packed tile.</param>
    public static byte[] Packed(ushort packing, RgbImage page, int width, int height, byte[] tile)
    {
        using var stream = new MemoryStream();
        using (Tiff tiff = BitMiracle.LibTiff.Classic.Tiff.ClientOpen("slide", "w", stream, new TiffStream()))
        {
            Describe(tiff, page, width, Compression.NONE);
            tiff.SetField(TiffTag.TILELENGTH, height);
            int tiles = (page.Width + width - 1) / width * ((page.Height + height - 1) / height);
            for (int i = 0; i < tiles; i++) tiff.WriteRawTile(i, tile, tile.Length);
            tiff.WriteDirectory();
            tiff.Flush();
        }

        return Claiming(packing, stream.ToArray());
    }

    /// <summary>A TIFF file that says of its first page that it is packed in another way.</summary>
    public static byte[] Claiming(ushort packing, byte[] file)
    {
        // The entry of tag 259: one number of 16 bits.
        int at = file.AsSpan().IndexOf((ReadOnlySpan<byte>)[3, 1, 3, 0, 1, 0, 0, 0]);
        BitConverter.TryWriteBytes(file.AsSpan(at + 8), packing);
        return file;
    }

    private static void Describe(Tiff tiff, RgbImage page, int tile, Compression compression)
    {
        tiff.SetField(TiffTag.IMAGEWIDTH, page.Width);
        tiff.SetField(TiffTag.IMAGELENGTH, page.Height);
        tiff.SetField(TiffTag.BITSPERSAMPLE, 8);
        tiff.SetField(TiffTag.SAMPLESPERPIXEL, 3);
        tiff.SetField(TiffTag.PLANARCONFIG, PlanarConfig.CONTIG);
        tiff.SetField(TiffTag.COMPRESSION, compression);
        tiff.SetField(TiffTag.PHOTOMETRIC, Photometric.RGB);
        if (tile > 0)
        {
            tiff.SetField(TiffTag.TILEWIDTH, tile);
            tiff.SetField(TiffTag.TILELENGTH, tile);
        }
        else
        {
            tiff.SetField(TiffTag.ROWSPERSTRIP, 7);
        }
    }

    // Tiles at the right and at the bottom reach beyond the picture.
    private static byte[] Piece(RgbImage page, int left, int top, int across, int down)
    {
        var bytes = new byte[3 * across * down];
        int width = Math.Min(across, page.Width - left);
        for (int row = 0; row < Math.Min(down, page.Height - top); row++) page.Pixels.AsSpan(3 * ((top + row) * page.Width + left), 3 * width).CopyTo(bytes.AsSpan(3 * row * across));
        return bytes;
    }
}
