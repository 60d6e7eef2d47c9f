using System.Globalization;

namespace GemmaCore.Inputs;

/// <summary>
/// Shows pictures as several: as tiles of a slide, or whole and then in crops at further scales. Of a scale N the picture is cut in N x N crops of its own proportions,
/// each seen at the model's resolution, so N times as closely. Every part is followed by its place.
/// </summary>
public sealed record PictureCut
{
    /// <summary>Crops of more are smaller than a model can make use of; 8 x 8 are 64 pictures.</summary>
    public const int LargestScale = 8;

    /// <summary>Into tiles; null for crops.</summary>
    public TileCut? Tiles { get; private init; }

    /// <summary>Into crops at these scales; empty for tiles.</summary>
    public IReadOnlyList<int> Scales { get; private init; } = [];

    /// <summary>Tiles.</summary>
    public static PictureCut Of(TileCut tiles) => new() { Tiles = tiles };

    /// <summary>The whole picture, then crops at scales such as <c>2</c> or <c>2,3</c>.</summary>
    /// <exception cref="InputException">They are not rising numbers from 2 to <see cref="LargestScale"/>.</exception>
    public static PictureCut OfScales(IEnumerable<string> scales)
    {
        string[] texts = [.. scales.SelectMany(text => text.Split(',', StringSplitOptions.TrimEntries))];
        int[] numbers = [.. texts.Select(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : 0)];
        bool rises = numbers.Zip(numbers.Skip(1)).All(pair => pair.First < pair.Second);
        return numbers.Length > 0 && rises && numbers.All(number => number is >= 2 and <= LargestScale)
            ? new PictureCut { Scales = numbers }
            : throw new InputException($"crops '{string.Join(',', texts)}': expected rising scales from 2 to {LargestScale}, e.g. 2 or 2,3");
    }

    /// <summary>The parts of a picture, each with its place in words; the picture alone where it is not cut.</summary>
    /// <param name="source">The picture.</param>
    /// <param name="window">As for <see cref="ImageDecoder.Decode"/>: what is seen decides what is tissue.</param>
    /// <exception cref="InputException">It cannot be read, is too small for the scales, or holds no tissue.</exception>
    public IReadOnlyList<ContentPart> Parts(ImageSource source, GreyWindow? window = null)
    {
        (ImageSource Part, string Place)[] parts = [.. Named(source, window)];
        return parts.Length == 1 ? [new ImagePart(parts[0].Part)] : [.. parts.SelectMany(part => (ContentPart[])[new ImagePart(part.Part), new TextPart(part.Place)])];
    }

    /// <summary>A picture at the magnification that the tiles ask for.</summary>
    public ImageSource Of(ImageSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return Tiles is { Magnification: { } magnification } ? source with { Magnification = magnification } : source;
    }

    /// <summary>The same as <see cref="Parts"/> without words: what is cut out, of a picture's <see cref="ImageSource.Region"/> where it has one and is cut into tiles.</summary>
    /// <exception cref="InputException">As for <see cref="Parts"/>.</exception>
    public IReadOnlyList<PictureRegion> Regions(ImageSource source, GreyWindow? window = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        string name = source.Path ?? "image";
        if (Tiles is { } tiles) return tiles.Choose(LargePicture.Open(Of(source), window: window), source.Region, name);
        (int width, int height) = ImageDecoder.ReadSize(source);
        if (Math.Min(width, height) < Scales[^1]) throw new InputException($"{name}: {width} x {height} pixels cannot be cut in {Scales[^1]} x {Scales[^1]} crops");
        return [.. Scales.SelectMany(scale => Enumerable.Range(0, scale * scale).Select(index => Crop(width, height, scale, index / scale, index % scale)))];
    }

    /// <summary>A conversation with its pictures cut; slices of volumes and what is a part already stay as they are.</summary>
    /// <exception cref="InputException">As for <see cref="Parts"/>.</exception>
    public IReadOnlyList<ChatMessage> Apply(IReadOnlyList<ChatMessage> messages, GreyWindow? window = null) =>
    [
        .. messages.Select(message => message with
        {
            Content = [.. message.Content.SelectMany(part => part is ImagePart { Image: { Region: null, Slice: 0 } source } ? Parts(source, window) : [part])],
        }),
    ];

    private IEnumerable<(ImageSource Part, string Place)> Named(ImageSource source, GreyWindow? window)
    {
        IReadOnlyList<PictureRegion> regions = Regions(source, window);
        source = Of(source);
        if (Tiles is not null)
            return regions.Select((region, index) => (source with { Region = region }, FormattableString.Invariant($"TILE {index + 1} (x {region.Left}, y {region.Top})")));
        IEnumerable<string> places = Scales.SelectMany(scale => Enumerable.Range(0, scale * scale).Select(index =>
            FormattableString.Invariant($"CROP {index + 1} of {scale} x {scale} (row {index / scale + 1}, column {index % scale + 1})")));
        return [(source, "WHOLE PICTURE"), .. regions.Zip(places, (region, place) => (source with { Region = region }, place))];
    }

    private static PictureRegion Crop(int width, int height, int scale, int row, int column)
    {
        int left = (int)((long)width * column / scale), top = (int)((long)height * row / scale);
        return new PictureRegion(left, top, (int)((long)width * (column + 1) / scale) - left, (int)((long)height * (row + 1) / scale) - top);
    }
}
