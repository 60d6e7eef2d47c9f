using System.Globalization;
using System.Text.Json;
using GemmaCore.Evaluation;
using GemmaCore.Evaluation.Masks;
using GemmaCore.Evaluation.Regions;

namespace GemmaCore.Cli;

/// <summary>
/// Polygons of one picture as JSON, filled to a mask: as LabelMe writes them (<c>imageWidth</c>, <c>imageHeight</c>, <c>shapes</c> with <c>label</c> and <c>points</c>),
/// or regions as an answer holds them.
/// </summary>
internal static class PolygonFile
{
    // Sides and pixels above any picture that the decoder takes.
    private const int MostSide = 1 << 16;
    private const long MostPixels = 1 << 28;

    public static bool Is(string file) => file.EndsWith(".json", StringComparison.OrdinalIgnoreCase);

    /// <summary>The filled polygons of a file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="size">Size of the picture where the file does not say; null where nothing says.</param>
    /// <param name="classes">Labels are numbers of structures; otherwise every shape is structure 1.</param>
    /// <exception cref="EvaluationException">The file holds no polygons, or nothing says how large the picture is.</exception>
    public static Mask Read(string file, (int Width, int Height)? size, bool classes)
    {
        string text = File.ReadAllText(file);
        JsonElement json = AnswerText.Decode(text) ?? throw new EvaluationException($"{file}: not valid JSON; expected polygons as LabelMe writes them, or a list of boxes or polygons");
        int? width = Side(json, "imageWidth"), height = Side(json, "imageHeight");
        if (width is { } w && height is { } h) size = (w, h);
        if (size is not { } known) throw new EvaluationException($"{file}: nothing says how large the picture is; expected imageWidth and imageHeight, as LabelMe writes them");
        bool labelMe = json.ValueKind == JsonValueKind.Object && json.TryGetProperty("shapes", out _);
        return (labelMe ? Fill(Shapes(json, file), known, classes, file) : Answer(text, known, classes, file)) ?? throw new EvaluationException($"{file}: holds no boxes or polygons");
    }

    /// <summary>The filled regions of an answer; null where it holds none.</summary>
    /// <exception cref="EvaluationException">A label is no number of a structure.</exception>
    public static Mask? Answer(string text, (int Width, int Height) size, bool classes, string where = "an answer") =>
        RegionAnswers.Parse(text, new PictureFrame(size.Width, size.Height)) is { } regions ? Fill(regions, size, classes, where) : null;

    private static int? Side(JsonElement json, string key)
    {
        if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty(key, out JsonElement value) || value.ValueKind != JsonValueKind.Number) return null;
        return value.TryGetInt32(out int side) && side is > 0 and <= MostSide ? side : null;
    }

    private static Region[] Shapes(JsonElement json, string file)
    {
        JsonElement shapes = json.GetProperty("shapes");
        if (shapes.ValueKind != JsonValueKind.Array) throw new EvaluationException($"{file}: shapes: expected a list");
        return [.. shapes.EnumerateArray().Select((shape, index) => Shape(shape) ?? throw new EvaluationException($"{file}: shape {index}: expected points, a list of [x, y]: three or more, or the two corners of a rectangle"))];
    }

    private static Region? Shape(JsonElement shape)
    {
        if (shape.ValueKind != JsonValueKind.Object || !shape.TryGetProperty("points", out JsonElement list) || list.ValueKind != JsonValueKind.Array) return null;
        string? label = shape.TryGetProperty("label", out JsonElement name) && name.ValueKind == JsonValueKind.String ? name.GetString() : null;
        var points = new List<(double X, double Y)>();
        foreach (JsonElement point in list.EnumerateArray())
        {
            if (point.ValueKind != JsonValueKind.Array || point.GetArrayLength() != 2 || point[0].ValueKind != JsonValueKind.Number || point[1].ValueKind != JsonValueKind.Number) return null;
            points.Add((point[0].GetDouble(), point[1].GetDouble()));
        }

        if (points is [var a, var b]) return Region.Of(new Box(Math.Min(a.X, b.X), Math.Min(a.Y, b.Y), Math.Max(a.X, b.X), Math.Max(a.Y, b.Y), label));
        return points.Count >= 3 ? Region.Of([points], label) : null;
    }

    // Each shape is filled by itself, so that shapes that overlap do not cut holes into each other.
    private static Mask Fill(IReadOnlyList<Region> regions, (int Width, int Height) size, bool classes, string where)
    {
        if ((long)size.Width * size.Height > MostPixels) throw new EvaluationException($"{where}: {size.Width} x {size.Height} pixels are too many");
        byte[] values = new byte[size.Width * size.Height];
        foreach (Region region in regions)
        {
            byte structure = 1;
            if (classes && !(byte.TryParse(region.Label, NumberStyles.None, CultureInfo.InvariantCulture, out structure) && structure > 0))
                throw new EvaluationException($"{where}: the label '{region.Label}' is no number of a structure; --mask-classes expects 1 to 255");
            ReadOnlySpan<byte> filled = Mask.FromPolygon(size.Width, size.Height, region.Outline).Values;
            for (int i = 0; i < filled.Length; i++)
                if (filled[i] != 0) values[i] = structure;
        }

        return new Mask(size.Width, size.Height, values);
    }
}
