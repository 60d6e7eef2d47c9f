using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation;

/// <summary>A box by its corners, in pixels of the original picture.</summary>
/// <param name="X1">Left.</param>
/// <param name="Y1">Top.</param>
/// <param name="X2">Right.</param>
/// <param name="Y2">Bottom.</param>
/// <param name="Label">What it holds; null when the answer does not say.</param>
public readonly record struct Box(double X1, double Y1, double X2, double Y2, string? Label)
{
    /// <summary>Area; negative extents count as 0.</summary>
    public double Area => Math.Max(0, X2 - X1) * Math.Max(0, Y2 - Y1);

    /// <summary>Intersection over union, on real numbers; 0 when the union is empty.</summary>
    public double Iou(Box other)
    {
        double width = Math.Max(0, Math.Min(X2, other.X2) - Math.Max(X1, other.X1));
        double height = Math.Max(0, Math.Min(Y2, other.Y2) - Math.Max(Y1, other.Y1));
        double union = Area + other.Area - width * height;
        return union > 0 ? width * height / union : 0;
    }
}

/// <summary>Reads boxes out of answers (flare.md §6.4).</summary>
public static partial class Boxes
{
    private static readonly string[] BoxKeys = ["bbox", "bboxes", "box", "boxes", "bounding_box", "bounding_boxes", "detections"];
    private static readonly char[] Separators = [',', ' ', '\t', '\r', '\n'];
    private static readonly string[] LabelKeys = ["label", "class", "category", "name"];

    /// <summary>The boxes of an answer; null when it cannot be read, which scores as no boxes.</summary>
    public static IReadOnlyList<Box>? Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var boxes = new List<Box>();
        if (AnswerText.Decode(text) is { } json) return Read(json, null, boxes) ? boxes : null;
        MatchCollection groups = NumberGroup().Matches(text);
        foreach (Match group in groups)
        {
            string[] parts = group.Groups[1].Value.Split(Separators, StringSplitOptions.RemoveEmptyEntries);
            var numbers = new double[parts.Length];
            for (int i = 0; i < parts.Length; i++)
                if (!double.TryParse(parts[i], NumberStyles.Float, CultureInfo.InvariantCulture, out numbers[i])) return null;
            if (numbers.Length != 4) return null;
            boxes.Add(new Box(numbers[0], numbers[1], numbers[2], numbers[3], null));
        }

        return groups.Count > 0 ? boxes : null;
    }

    /// <summary>
    /// Boxes as JSON that <see cref="Parse"/> reads the same way: a list of lists of four numbers, or of objects with <c>box</c> and <c>label</c> where one has a
    /// label.
    /// </summary>
    public static string Format(IReadOnlyList<Box> boxes)
    {
        ArgumentNullException.ThrowIfNull(boxes);
        bool labelled = boxes.Any(box => box.Label is not null);
        return "[" + string.Join(", ", boxes.Select(box => labelled ? $"{{\"box\": {Corners(box)}{Label(box)}}}" : Corners(box))) + "]";
    }

    private static string Corners(Box box) => $"[{Show(box.X1)}, {Show(box.Y1)}, {Show(box.X2)}, {Show(box.Y2)}]";

    private static string Label(Box box) => box.Label is null ? "" : ", \"label\": " + JsonSerializer.Serialize(box.Label);

    // A number too large for a double is read as infinity and has to be written as one that JSON knows.
    private static string Show(double value) => double.IsFinite(value) ? value.ToString("R", CultureInfo.InvariantCulture) : value > 0 ? "1e999" : "-1e999";

    private static bool Read(JsonElement value, string? label, List<Box> boxes)
    {
        if (value.ValueKind == JsonValueKind.Array)
        {
            if (value.GetArrayLength() == 4 && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Number))
            {
                boxes.Add(new Box(value[0].GetDouble(), value[1].GetDouble(), value[2].GetDouble(), value[3].GetDouble(), label));
                return true;
            }

            return value.EnumerateArray().All(item => Read(item, label, boxes));
        }

        if (value.ValueKind != JsonValueKind.Object) return false;
        foreach (string key in LabelKeys)
            if (value.TryGetProperty(key, out JsonElement name) && name.ValueKind is JsonValueKind.String or JsonValueKind.Number)
                label = AnswerText.Normalise(AnswerText.Text(name));
        if (Corners(value) is { } corners)
        {
            boxes.Add(corners with { Label = label });
            return true;
        }

        foreach (string key in BoxKeys)
            if (value.TryGetProperty(key, out JsonElement inner)) return Read(inner, label, boxes);
        return value.EnumerateObject().All(entry => Read(entry.Value, AnswerText.Normalise(entry.Name), boxes));
    }

    private static Box? Corners(JsonElement value)
    {
        double? Get(string key) => value.TryGetProperty(key, out JsonElement item) && item.ValueKind == JsonValueKind.Number ? item.GetDouble() : null;
        if (Get("x1") is { } x1 && Get("y1") is { } y1 && Get("x2") is { } x2 && Get("y2") is { } y2) return new Box(x1, y1, x2, y2, null);
        if (Get("x") is { } x && Get("y") is { } y && Get("width") is { } width && Get("height") is { } height
            && !double.IsNaN(x + width) && !double.IsNaN(y + height)) return new Box(x, y, x + width, y + height, null);
        return null;
    }

    [GeneratedRegex(@"\[([0-9+\-eE.,\s]+)\]")]
    private static partial Regex NumberGroup();
}
