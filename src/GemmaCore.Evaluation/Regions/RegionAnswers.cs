using System.Text.Json;
using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation.Regions;

/// <summary>
/// Reads boxes and polygons out of any answer: FLARE's lists and objects (flare.md §1.5), MedGemma's <c>box_2d</c> (<c>[y0, x0, y1, x1]</c> in thousandths, with or
/// without a fence, also where the answer was cut off), and polygons as lists of <c>[x, y]</c> in pixels, alone or under <c>polygon</c>, <c>points</c> or
/// <c>segmentation</c>. More forgiving than the rules of scoring, which see an answer through <see cref="Boxes"/>.
/// </summary>
public static partial class RegionAnswers
{
    private const string Box2D = "box_2d", Polygon2D = "polygon_2d";
    private static readonly string[] PolygonKeys = ["polygon", "points", "segmentation"];
    private static readonly string[] LabelKeys = ["label", "class", "category", "name"];

    /// <summary>The regions of an answer; null when it holds none that can be read.</summary>
    /// <param name="text">The answer.</param>
    /// <param name="frame">The picture that it is about.</param>
    public static IReadOnlyList<Region>? Parse(string text, PictureFrame frame)
    {
        ArgumentNullException.ThrowIfNull(text);
        string bare = EmbeddedJson.Of(text);
        if (AnswerText.Decode(bare) is { } json)
        {
            var regions = new List<Region>();
            if (Read(json, null, frame, regions)) return regions;
        }
        else if (bare.Contains(Box2D, StringComparison.Ordinal) || bare.Contains(Polygon2D, StringComparison.Ordinal))
        {
            // Cut off in the middle of a list: the objects that are whole still count.
            var whole = new List<Region>();
            foreach (Match item in SmallObject().Matches(bare))
                if (AnswerText.Decode(item.Value) is { } piece) Read(piece, null, frame, whole);
            return whole.Count > 0 ? whole : null;
        }

        return Boxes.Parse(bare) is { } boxes ? [.. boxes.Select(Region.Of)] : null;
    }

    private static bool Read(JsonElement value, string? label, PictureFrame frame, List<Region> regions)
    {
        if (value.ValueKind == JsonValueKind.Array)
        {
            if (Numbers(value) is [var x1, var y1, var x2, var y2]) return Add(regions, Region.Of(new Box(x1, y1, x2, y2, label)));
            if (Ring(value) is { } ring) return Add(regions, Region.Of([ring], label));
            return value.EnumerateArray().All(item => Read(item, label, frame, regions));
        }

        if (value.ValueKind != JsonValueKind.Object) return false;
        foreach (string key in LabelKeys)
            if (value.TryGetProperty(key, out JsonElement name) && name.ValueKind is JsonValueKind.String or JsonValueKind.Number) label = AnswerText.Normalise(AnswerText.Text(name));
        if (value.TryGetProperty(Box2D, out JsonElement box)) return Thousandths(box, label, frame, regions);
        if (value.TryGetProperty(Polygon2D, out JsonElement outline))
            return Ring(outline) is { } shares && Add(regions, Region.Of([[.. shares.Select(corner => Point(corner.Y, corner.X, ScaleOf(shares.SelectMany(c => (double[])[c.X, c.Y])), frame))]], label));
        foreach (string key in PolygonKeys)
            if (value.TryGetProperty(key, out JsonElement polygon)) return Rings(polygon) is { Count: > 0 } rings && Add(regions, Region.Of(rings, label));
        // One box by its names, a list under a name, or lists by label: as the rules read them, unless polygons are inside.
        if (Boxes.Parse(value.GetRawText()) is { } plain) return plain.All(one => Add(regions, Region.Of(one with { Label = one.Label ?? label })));
        return value.EnumerateObject().All(entry => Read(entry.Value, AnswerText.Normalise(entry.Name), frame, regions));
    }

    // One box, or several of one label. Models do mix up the ends.
    private static bool Thousandths(JsonElement value, string? label, PictureFrame frame, List<Region> regions)
    {
        if (Numbers(value) is not [var y0, var x0, var y1, var x1])
            return value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0 && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Array && Thousandths(item, label, frame, regions));
        double scale = ScaleOf([y0, x0, y1, x1]);
        ((double X, double Y) a, (double X, double Y) b) = (Point(x0, y0, scale, frame), Point(x1, y1, scale, frame));
        return Add(regions, Region.Of(new Box(Math.Min(a.X, b.X), Math.Min(a.Y, b.Y), Math.Max(a.X, b.X), Math.Max(a.Y, b.Y), label)));
    }

    // The report on MedGemma writes shares from 0 to 1, its notebooks thousandths; a box of a thousandth is no box.
    private static double ScaleOf(IEnumerable<double> values) => values.All(value => value <= 1) ? 1 : PictureFrame.Scale;

    private static (double X, double Y) Point(double x, double y, double scale, PictureFrame frame) => frame.ToPixels(x / scale, y / scale);

    private static bool Add(List<Region> regions, Region region)
    {
        if (!double.IsFinite(region.Bounds.X1 + region.Bounds.X2 + region.Bounds.Y1 + region.Bounds.Y2)) return false;
        regions.Add(region);
        return true;
    }

    private static double[]? Numbers(JsonElement value) => value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Number)
        ? [.. value.EnumerateArray().Select(item => item.GetDouble())]
        : null;

    // Pairs of numbers, at least three.
    private static (double X, double Y)[]? Ring(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() < 3) return null;
        double[]?[] pairs = [.. value.EnumerateArray().Select(Numbers)];
        return pairs.All(pair => pair is { Length: 2 }) ? [.. pairs.Select(pair => (pair![0], pair[1]))] : null;
    }

    // A ring of pairs; a flat list as COCO writes it; or several of either.
    private static List<IReadOnlyList<(double X, double Y)>>? Rings(JsonElement value)
    {
        if (Ring(value) is { } one) return [one];
        if (Numbers(value) is { Length: >= 6 } flat) return flat.Length % 2 == 0 ? [[.. flat.Chunk(2).Select(pair => (pair[0], pair[1]))]] : null;
        if (value.ValueKind != JsonValueKind.Array) return null;
        var rings = new List<IReadOnlyList<(double X, double Y)>>();
        foreach (JsonElement item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Array || Rings(item) is not { Count: 1 } ring) return null;
            rings.AddRange(ring);
        }

        return rings;
    }

    [GeneratedRegex(@"\{[^{}]*\}")]
    private static partial Regex SmallObject();
}
