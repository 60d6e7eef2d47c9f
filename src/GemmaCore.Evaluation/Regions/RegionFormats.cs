using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace GemmaCore.Evaluation.Regions;

/// <summary>Writes regions as answers.</summary>
public static class RegionFormats
{
    private const int Decimals = 1; // of pixels; a thousandth of any usual picture is coarser
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Names of the formats.</summary>
    public static IReadOnlyList<string> Names { get; } = ["corners", "keyed", "box_2d"];

    /// <summary>
    /// <c>corners</c>: FLARE's list of <c>[x1, y1, x2, y2]</c> in pixels, with labels where there are any; <c>keyed</c>: FLARE's object of such lists by label;
    /// <c>box_2d</c>: MedGemma's list of <c>{"box_2d": [y0, x0, y1, x1], "label"}</c> in thousandths. Polygons are written as the boxes around them.
    /// </summary>
    /// <exception cref="ArgumentException">There is no such format.</exception>
    public static string Write(IReadOnlyList<Region> regions, string format, PictureFrame frame)
    {
        ArgumentNullException.ThrowIfNull(regions);
        Box[] boxes = [.. regions.Select(region => Rounded(region.Bounds))];
        return format switch
        {
            "corners" => Boxes.Format(boxes),
            // Labels are read in lower case, and FLARE's keys of chromosomes are 1 to 22, X and Y: the challenge takes x for another one.
            "keyed" => "{" + string.Join(", ", boxes.GroupBy(box => box.Label is [var letter] ? char.ToUpperInvariant(letter).ToString() : box.Label ?? Unnamed).Select(group =>
                $"{JsonSerializer.Serialize(group.Key, Plain)}: {Boxes.Format([.. group.Select(box => box with { Label = null })])}")) + "}",
            "box_2d" => "[" + string.Join(", ", regions.Select(region => Thousandths(region.Bounds, frame))) + "]",
            _ => throw new ArgumentException($"format '{format}' is unknown; expected {string.Join(", ", Names)}", nameof(format)),
        };
    }

    /// <summary>What a region without a label is called where one is needed.</summary>
    public const string Unnamed = "object";

    /// <summary>A COCO document of pictures and their regions: categories by label, boxes as x, y, width, height, polygons as flat lists.</summary>
    /// <param name="pictures">Per picture its name, size and regions.</param>
    public static JsonObject Coco(IReadOnlyList<(string Name, int Width, int Height, IReadOnlyList<Region> Regions)> pictures)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        string[] categories = [.. pictures.SelectMany(picture => picture.Regions).Select(region => region.Label ?? Unnamed).Distinct().Order(StringComparer.Ordinal)];
        var images = new JsonArray();
        var annotations = new JsonArray();
        foreach ((string name, int width, int height, IReadOnlyList<Region> regions) in pictures)
        {
            images.Add((JsonNode)new JsonObject { ["id"] = images.Count + 1, ["file_name"] = name, ["width"] = width, ["height"] = height });
            foreach (Region region in regions)
            {
                Box box = Rounded(region.Bounds);
                annotations.Add((JsonNode)new JsonObject
                {
                    ["id"] = annotations.Count + 1,
                    ["image_id"] = images.Count,
                    ["category_id"] = Array.IndexOf(categories, region.Label ?? Unnamed) + 1,
                    ["bbox"] = new JsonArray(box.X1, box.Y1, Math.Round(box.X2 - box.X1, Decimals), Math.Round(box.Y2 - box.Y1, Decimals)),
                    ["area"] = Math.Round(region.Area, Decimals),
                    ["segmentation"] = new JsonArray([.. region.Rings.Select(ring => (JsonNode)new JsonArray([.. ring.SelectMany(corner => (JsonNode[])[Math.Round(corner.X, Decimals), Math.Round(corner.Y, Decimals)])]))]),
                    ["iscrowd"] = 0,
                });
            }
        }

        return new JsonObject
        {
            ["images"] = images,
            ["annotations"] = annotations,
            ["categories"] = new JsonArray([.. categories.Select((name, index) => (JsonNode)new JsonObject { ["id"] = index + 1, ["name"] = name })]),
        };
    }

    private static string Thousandths(Box box, PictureFrame frame)
    {
        ((int X, int Y) from, (int X, int Y) to) = (frame.ToThousandths(box.X1, box.Y1), frame.ToThousandths(box.X2, box.Y2));
        string label = box.Label is null ? "" : $", \"label\": {JsonSerializer.Serialize(box.Label, Plain)}";
        return string.Create(CultureInfo.InvariantCulture, $"{{\"box_2d\": [{from.Y}, {from.X}, {to.Y}, {to.X}]{label}}}");
    }

    private static Box Rounded(Box box) => new(Math.Round(box.X1, Decimals), Math.Round(box.Y1, Decimals), Math.Round(box.X2, Decimals), Math.Round(box.Y2, Decimals), box.Label);
}
