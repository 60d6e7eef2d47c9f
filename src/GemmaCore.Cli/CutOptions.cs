using System.CommandLine;
using System.Globalization;
using GemmaCore.Generation;
using GemmaCore.Inputs;

namespace GemmaCore.Cli;

/// <summary>
/// How large pictures are shown: as several, by <c>--tiles</c> with what belongs to it, or <c>--crops</c>; for a data set also <c>--tile-rows</c>, which asks about each tile; for a single question a part, by <c>--region</c>,
/// and at a lower <c>--magnification</c>.
/// </summary>
internal sealed class CutOptions(bool single)
{
    private readonly Option<bool> _tiles = new("--tiles") { Description = "cut every picture, such as a slide, into tiles of one prompt, each followed by its place" };

    private readonly Option<bool> _rows = new("--tile-rows") { Description = "ask about every tile by itself; its place goes into the output" };

    private readonly Option<string?> _magnification = new("--magnification") { Description = "look at slides at this magnification, e.g. 10; tile sizes are then pixels at it" };

    private readonly Option<string?> _region = new("--region") { Description = "show a part of the pictures alone: x,y,width,height in their own pixels" };

    private readonly Option<int?> _size = new("--tile-size") { Description = $"side of a tile in pixels of the picture ({TileCut.UsualSize})" };

    private readonly Option<int?> _stride = new("--tile-stride") { Description = "pixels from one tile to the next; the size where not given, less for overlap" };

    private readonly Option<int?> _most = new("--most-tiles") { Description = $"most tiles of a picture, a random subset in the order of the rows ({TileCut.UsualMost})" };

    private readonly Option<string?> _tissue = new("--tissue") { Description = $"which tiles count: {TissueRule.Known} (hsv)" };

    private readonly Option<int?> _seed = new("--tile-seed") { Description = "which tiles are taken of too many (0)" };

    private readonly Option<string?> _crops = new("--crops") { Description = $"show every picture whole and then in N x N crops: scales from 2 to {PictureCut.LargestScale}, e.g. 2 or 2,3" };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_tiles, single ? _region : _rows, _magnification, _size, _stride, _most, _tissue, _seed, _crops]) command.Add(option);
    }

    /// <summary>Whether each tile is a question of its own.</summary>
    public bool AsRows(ParseResult parsed) => !single && parsed.GetValue(_rows);

    /// <summary>What was asked for; null to show pictures as they are.</summary>
    /// <exception cref="UsageException">Flags that do not go together or make no sense.</exception>
    public PictureCut? Read(ParseResult parsed)
    {
        bool tiles = parsed.GetValue(_tiles) || AsRows(parsed);
        (string Key, string? Value)[] given =
        [
            ("magnification", tiles || !single ? parsed.GetValue(_magnification) : null),
            ("size", Text(parsed.GetValue(_size))), ("stride", Text(parsed.GetValue(_stride))), ("most", Text(parsed.GetValue(_most))), ("tissue", parsed.GetValue(_tissue)), ("seed", Text(parsed.GetValue(_seed))),
        ];
        Dictionary<string, string> values = given.Where(pair => pair.Value is not null).ToDictionary(pair => pair.Key, pair => pair.Value!);
        if (!tiles && values.Count > 0) throw new UsageException($"{Flag(values.Keys.First())} goes with --tiles{(single ? "" : " or --tile-rows")}");
        string? crops = parsed.GetValue(_crops);
        if (tiles && crops is not null) throw new UsageException("--tiles and --crops are two ways to cut a picture; leave one out");
        if (crops is not null && single && HasPart(parsed)) throw new UsageException("--region and --magnification go with --tiles or alone, not with --crops");
        if (!tiles && crops is null) return null;
        try
        {
            return tiles ? PictureCut.Of(TileCut.Parse(values)) : PictureCut.OfScales([crops!]);
        }
        catch (InputException error)
        {
            string key = error.Message[..Math.Max(0, error.Message.IndexOf(':', StringComparison.Ordinal))];
            throw new UsageException(values.ContainsKey(key) ? $"{Flag(key)}{error.Message[key.Length..]}" : $"{(tiles ? "--tissue" : "--crops")}: {error.Message}");
        }
    }

    /// <summary>Whether a part or a magnification was asked for.</summary>
    public bool HasPart(ParseResult parsed) => (parsed.GetValue(_region) ?? parsed.GetValue(_magnification)) is not null;

    /// <summary>The part of a picture, and the magnification, that was asked for.</summary>
    /// <exception cref="UsageException">They make no sense.</exception>
    public ImageSource Part(ParseResult parsed, ImageSource source)
    {
        try
        {
            return source with
            {
                Region = parsed.GetValue(_region) is { } part ? PictureRegion.Parse(part) : null,
                Magnification = parsed.GetValue(_magnification) is { } times ? TileCut.ParseMagnification(times) : null,
            };
        }
        catch (InputException error)
        {
            throw new UsageException($"--{error.Message}");
        }
    }

    /// <summary>Refuses more pictures than a prompt of the model holds, before any of them is decoded.</summary>
    /// <exception cref="UsageException">There are too many.</exception>
    public static void RequireRoom(GemmaModel model, IEnumerable<ContentPart> parts)
    {
        int pictures = parts.Count(part => part is ImagePart), tokens = model.Prompts.TokensPerImage, positions = model.Model.Layout.MaxPositions;
        if ((long)pictures * tokens >= positions)
            throw new UsageException($"{pictures} pictures of {tokens} tokens are {(long)pictures * tokens}, and the model has {positions} positions; lower --most-tiles, take larger tiles, or fewer scales of --crops");
    }

    private static string? Text(int? number) => number?.ToString(CultureInfo.InvariantCulture);

    private static string Flag(string key) => key switch { "most" => "--most-tiles", "tissue" or "magnification" => "--" + key, _ => "--tile-" + key };
}
