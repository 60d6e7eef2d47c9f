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

    private const int LargestMagnification = 400;

    /// <summary>Side of a tile in pixels of the picture, or in those that it has at <see cref="Magnification"/>; larger ones show more at a lower magnification.</summary>
    public int Size { get; init; } = UsualSize;

    /// <summary>The magnification at which a slide is looked at; null for all pixels that were scanned. Places of tiles are pixels of the scan in either case.</summary>
    public double? Magnification { get; init; }

    /// <summary>From one tile's edge to the next; 0 for <see cref="Size"/>. Less makes them overlap.</summary>
    public int Stride { get; init; }

    /// <summary>At most so many.</summary>
    public int Most { get; init; } = UsualMost;

    /// <summary>Which tiles count.</summary>
    public TissueRule Tissue { get; init; } = TissueRule.Hsv;

    /// <summary>Decides which tiles are taken where there are too many.</summary>
    public int Seed { get; init; }

    /// <summary>The keys of <see cref="Parse"/>.</summary>
    public static IReadOnlyList<string> Keys { get; } = ["size", "stride", "magnification", "most", "tissue", "seed"];

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
            Magnification = values.TryGetValue("magnification", out string? times) ? ParseMagnification(times) : null,
            Most = Number("most", UsualMost, 1, MostPlaces),
            Tissue = values.TryGetValue("tissue", out string? rule) ? TissueRule.Parse(rule) : TissueRule.Hsv,
            Seed = Number("seed", 0, 0, int.MaxValue),
        };
    }

    /// <summary>A magnification as people write it: 10, 2.5 or 10x.</summary>
    /// <exception cref="InputException">It is none.</exception>
    public static double ParseMagnification(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string number = text.EndsWith('x') ? text[..^1] : text;
        return double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double magnification) && magnification is > 0 and <= LargestMagnification
            ? magnification
            : throw new InputException(FormattableString.Invariant($"magnification: expected a number above 0 up to {LargestMagnification}, e.g. 10 or 2.5, got '{text}'"));
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

    /// <summary>The tiles to show, of a part or, where that is null, of all.</summary>
    /// <exception cref="InputException">None holds tissue, there are too many places, or the picture is damaged.</exception>
    internal IReadOnlyList<PictureRegion> Choose(LargePicture picture, PictureRegion? part, string name)
    {
        int OfScan(int length) => (int)Math.Min(Math.Round(length / picture.Share), int.MaxValue);
        PictureRegion within = picture.Within(part);
        TileCut ofScan = this with { Size = OfScan(Size), Stride = OfScan(Stride) };
        PictureRegion[] tiles =
        [
            .. ofScan.Grid(within.Width, within.Height).Select(place => place with { Left = within.Left + place.Left, Top = within.Top + place.Top })
                .Where(place => Tissue == TissueRule.None || Tissue.Holds(picture.Read(place))),
        ];
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
