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
    /// <summary>An entry of a list that is no box: scorers that go through the list count it, and it overlaps nothing.</summary>
    public static Box None { get; } = new(double.NaN, double.NaN, double.NaN, double.NaN, null);

    /// <summary>True for <see cref="None"/>, whatever its label.</summary>
    public bool IsNone => double.IsNaN(X1);

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
    private static readonly string[] LabelKeys = ["label", "class", "category", "name"];
    private static readonly string[] CornerKeys = ["x1", "y1", "x2", "y2"], SizeKeys = ["x", "y", "width", "height"];

    /// <summary>The boxes of an answer, none for one that says so; null when it cannot be read, which scores as no boxes.</summary>
    public static IReadOnlyList<Box>? Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var boxes = new List<Box>();
        return Read(text, null, boxes) ? boxes : null;
    }

    /// <summary>
    /// Boxes as JSON that <see cref="Parse"/> reads the same way: a list of lists of four numbers, or of objects with <c>box</c> and <c>label</c> where one has a
    /// label.
    /// </summary>
    public static string Format(IReadOnlyList<Box> boxes)
    {
        ArgumentNullException.ThrowIfNull(boxes);
        bool labelled = boxes.Any(box => box.Label is not null);
        return "[" + string.Join(", ", boxes.Select(box => labelled ? $"{{\"box\": {Corners(box)}{LabelOf(box)}}}" : Corners(box))) + "]";
    }

    private static string Corners(Box box) => $"[{Show(box.X1)}, {Show(box.Y1)}, {Show(box.X2)}, {Show(box.Y2)}]";

    private static string LabelOf(Box box) => box.Label is null ? "" : ", \"label\": " + JsonSerializer.Serialize(box.Label);

    // A number too large for a double is read as infinity and has to be written as one that JSON knows.
    private static string Show(double value) => double.IsFinite(value) ? value.ToString("R", CultureInfo.InvariantCulture) : value > 0 ? "1e999" : "-1e999";

    private static bool Read(string text, string? label, List<Box> boxes)
    {
        if (AnswerText.Decode(text) is { } json) return Read(json, label, boxes);
        if (AnswerText.NamesNothing(text)) return true;
        MatchCollection groups = NumberGroup().Matches(text);
        foreach (Match group in groups)
        {
            // Numbers stand between commas; blanks alone do not part them.
            string[] parts = group.Groups[1].Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            var numbers = new double[parts.Length];
            for (int i = 0; i < parts.Length; i++)
                if (!double.TryParse(parts[i], NumberStyles.Float, CultureInfo.InvariantCulture, out numbers[i])) return false;
            if (numbers.Length != 4) return false;
            boxes.Add(new Box(numbers[0], numbers[1], numbers[2], numbers[3], label));
        }

        return groups.Count > 0;
    }

    private static bool Read(JsonElement value, string? label, List<Box> boxes)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Null: return true;
            case JsonValueKind.String: return Read(value.GetString()!, label, boxes);
            case JsonValueKind.Array:
                if (value.GetArrayLength() != 4 || !value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Number)) return value.EnumerateArray().All(item => Read(item, label, boxes));
                boxes.Add(new Box(value[0].GetDouble(), value[1].GetDouble(), value[2].GetDouble(), value[3].GetDouble(), label));
                return true;
            case JsonValueKind.Object: return ReadObject(value, label, boxes);
            default: return false;
        }
    }

    private static bool ReadObject(JsonElement value, string? label, List<Box> boxes)
    {
        // The first of these names that is there counts; where it says nothing, what is around the box does.
        label = LabelKeys.Where(key => value.TryGetProperty(key, out _)).Select(key => Label(value.GetProperty(key))).FirstOrDefault() ?? label;
        if (CornerKeys.All(key => value.TryGetProperty(key, out _))) return Add(value, CornerKeys, (a, b, c, d) => new Box(a, b, c, d, label), boxes);
        if (SizeKeys.All(key => value.TryGetProperty(key, out _))) return Add(value, SizeKeys, (x, y, width, height) => new Box(x, y, x + width, y + height, label), boxes);
        foreach (string key in BoxKeys)
            if (value.TryGetProperty(key, out JsonElement inner)) return Read(inner, label, boxes);
        return AnswerText.Members(value).All(entry => Read(entry.Value, Plain(entry.Name) ?? label, boxes));
    }

    private static string? Label(JsonElement value) => value.ValueKind == JsonValueKind.Null ? null : Plain(AnswerText.Text(value));

    private static string? Plain(string label) => AnswerText.Normalise(label) is { Length: > 0 } plain ? plain : null;

    private static bool Add(JsonElement value, string[] keys, Func<double, double, double, double, Box> box, List<Box> boxes)
    {
        double[] numbers = [.. keys.Select(key => Number(value.GetProperty(key)))];
        Box made = box(numbers[0], numbers[1], numbers[2], numbers[3]);
        boxes.Add(made);
        return !double.IsNaN(made.X1) && !double.IsNaN(made.Y1) && !double.IsNaN(made.X2) && !double.IsNaN(made.Y2);
    }

    // Numbers may stand in quotes; NaN where there is none.
    private static double Number(JsonElement value) => value.ValueKind == JsonValueKind.Number ? value.GetDouble()
        : value.ValueKind == JsonValueKind.String && PythonFloat.TryParse(value.GetString()!, out double number) ? number : double.NaN;

    [GeneratedRegex(@"\[([0-9+\-eE.,\s]+)\]")]
    private static partial Regex NumberGroup();
}
