using System.Globalization;

namespace GemmaCore.Inputs;

/// <summary>
/// How a slide is cut into tiles: squares of its own pixels, row by row. The last one of a row or column is moved back to end at the picture's edge, so that nothing stays unseen.
/// Tiles without tissue are left out; of too many, a random subset in the same order is taken, as in Google's notebook for whole slides.
/// </summary>
public sealed record TileCut
{
    /// <summary>Side of a tile, and most tiles of a prompt, as MedGemma 1.5 was trained and Google's notebook shows it.</summary>
    public const int UsualSize = 896, UsualMost = 125;

    /// <summary>Places that are looked at for tissue, at most.</summary>
    public const int MostPlaces = 100_000;

    /// <summary>Side of a tile in pixels of the picture; larger ones show more at a lower magnification.</summary>
    public int Size { get; init; } = UsualSize;

    /// <summary>From one tile's edge to the next; 0 for <see cref="Size"/>. Less makes them overlap.</summary>
    public int Stride { get; init; }

    /// <summary>At most so many.</summary>
    public int Most { get; init; } = UsualMost;

    /// <summary>Which tiles count.</summary>
    public TissueRule Tissue { get; init; } = TissueRule.Hsv;

    /// <summary>Decides which tiles are taken where there are too many.</summary>
    public int Seed { get; init; }

    /// <summary>The keys of <see cref="Parse"/>.</summary>
    public static IReadOnlyList<string> Keys { get; } = ["size", "stride", "most", "tissue", "seed"];

    /// <summary>A cut from names and values, as a configuration has them.</summary>
    /// <exception cref="InputException">A value makes no sense.</exception>
    public static TileCut Parse(IReadOnlyDictionary<string, string> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        int Number(string key, int fallback, int least, int most) => !values.TryGetValue(key, out string? text) ? fallback
            : int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most ? number
            : throw new InputException(FormattableString.Invariant($"{key}: expected a whole number from {least} to {most}, got '{text}'"));
        int largest = (int)Math.Sqrt(ImageDecoder.DefaultMaxPixels), size = Number("size", UsualSize, 1, largest);
        return new TileCut
        {
            Size = size,
            Stride = Number("stride", size, 1, int.MaxValue),
            Most = Number("most", UsualMost, 1, MostPlaces),
            Tissue = values.TryGetValue("tissue", out string? rule) ? TissueRule.Parse(rule) : TissueRule.Hsv,
            Seed = Number("seed", 0, 0, int.MaxValue),
        };
    }

    /// <summary>Every place of a tile in a picture of this size, row by row.</summary>
    /// <exception cref="InputException">There are too many.</exception>
    public IReadOnlyList<PictureRegion> Grid(int width, int height)
    {
        int across = Math.Min(Size, width), down = Math.Min(Size, height);
        long columns = Count(width, across), rows = Count(height, down);
        if (columns * rows > MostPlaces)
            throw new InputException(FormattableString.Invariant($"{columns} x {rows} tiles are more than the {MostPlaces} that are looked at; take larger tiles, a larger stride, or a smaller picture"));
        return
        [
            .. Enumerable.Range(0, (int)rows).SelectMany(row => Enumerable.Range(0, (int)columns).Select(column =>
                new PictureRegion(Start(column, width - across), Start(row, height - down), across, down))),
        ];
    }

    /// <summary>The tiles to show.</summary>
    /// <exception cref="InputException">None holds tissue, there are too many places, or the picture is damaged.</exception>
    internal IReadOnlyList<PictureRegion> Choose(LargePicture picture, string name)
    {
        PictureRegion[] tiles = [.. Grid(picture.Width, picture.Height).Where(place => Tissue == TissueRule.None || Tissue.Holds(picture.Read(place)))];
        if (tiles.Length == 0) throw new InputException($"{name}: no tile holds tissue by the rule '{Tissue.Name}'; lower its share (hsv/0.05), or take all tiles with 'none'");
        if (tiles.Length <= Most) return tiles;
        int[] order = [.. Enumerable.Range(0, tiles.Length)];
        new Random(Seed).Shuffle(order);
        return [.. order.Take(Most).Order().Select(index => tiles[index])];
    }

    private long Count(int length, int tile) => (length - tile + (long)Step - 1) / Step + 1;

    private int Start(int index, int last) => (int)Math.Min((long)index * Step, last);

    private int Step => Stride > 0 ? Stride : Size;
}
