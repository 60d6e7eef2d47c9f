using GemmaCore.Evaluation.Regions;
using GemmaCore.Inputs;
using SkiaSharp;

namespace GemmaCore.Training.Overlays;

/// <summary>
/// A picture with regions drawn over it and a legend below: references as whole lines, predictions as dashes, one colour for each label. Small pictures are enlarged,
/// so that lines do not hide what they mark.
/// </summary>
public static class RegionOverlay
{
    private const int SmallestSide = 640, Line = 3, Row = 26, Margin = 10, Swatch = 30, MostLetters = 40;
    private const float TextSize = 15;

    // Okabe and Ito's, told apart by colour-blind eyes; white and black lie under every line, so that they show on any ground.
    private static readonly SKColor[] Colours =
        [new(0xE6, 0x9F, 0x00), new(0x56, 0xB4, 0xE9), new(0x00, 0x9E, 0x73), new(0xF0, 0xE4, 0x42), new(0x00, 0x72, 0xB2), new(0xD5, 0x5E, 0x00), new(0xCC, 0x79, 0xA7)];

    private static readonly Lazy<SKTypeface> Face = new(() => SKTypeface.FromFile(Path.Combine(AppContext.BaseDirectory, "Fonts", "DejaVuSans.ttf")));

    /// <summary>Draws a PNG.</summary>
    /// <param name="image">The picture.</param>
    /// <param name="references">Right regions; null where they are not known.</param>
    /// <param name="predictions">Predicted regions; null where none were asked for.</param>
    public static byte[] Draw(RgbImage image, IReadOnlyList<Region>? references, IReadOnlyList<Region>? predictions)
    {
        ArgumentNullException.ThrowIfNull(image);
        int scale = Math.Max(1, (SmallestSide + Math.Max(image.Width, image.Height) - 1) / Math.Max(image.Width, image.Height));
        string[] labels = [.. (references ?? []).Concat(predictions ?? []).Select(Name).Distinct().Order(StringComparer.Ordinal)];
        (string Text, SKColor Colour, bool Dashed)[] legend =
        [
            .. labels.SelectMany((label, index) => Entries(label, Colours[index % Colours.Length], references, predictions)),
        ];
        using var font = new SKFont(Face.Value, TextSize);
        int width = image.Width * scale, height = image.Height * scale;
        (int X, int Y)[] places = Places([.. legend.Select(entry => (int)font.MeasureText(entry.Text) + Swatch + 3 * Margin)], width);
        int legendHeight = (legend.Length == 0 ? 1 : places[^1].Y / Row + 1) * Row + 2 * Margin;
        using var surface = SKSurface.Create(new SKImageInfo(width, height + legendHeight, SKColorType.Rgba8888, SKAlphaType.Opaque));
        SKCanvas canvas = surface.Canvas;
        canvas.Clear(SKColors.White);
        using (SKImage picture = Picture(image)) canvas.DrawImage(picture, SKRect.Create(width, height), new SKSamplingOptions(SKFilterMode.Nearest));
        canvas.Save();
        canvas.ClipRect(SKRect.Create(width, height));
        foreach (Region region in references ?? []) Outline(canvas, region, scale, Colours[Array.IndexOf(labels, Name(region)) % Colours.Length], dashed: false);
        foreach (Region region in predictions ?? []) Outline(canvas, region, scale, Colours[Array.IndexOf(labels, Name(region)) % Colours.Length], dashed: true);
        canvas.Restore();
        Legend(canvas, font, legend, places, height + Margin);
        using SKImage drawn = surface.Snapshot();
        using SKData png = drawn.Encode(SKEncodedImageFormat.Png, 100);
        return png.ToArray();
    }

    private static string Name(Region region) => region.Label ?? RegionFormats.Unnamed;

    private static IEnumerable<(string, SKColor, bool)> Entries(string label, SKColor colour, IReadOnlyList<Region>? references, IReadOnlyList<Region>? predictions)
    {
        string name = label.Length > MostLetters ? label[..MostLetters] + "…" : label;
        if (references?.Count(region => Name(region) == label) is > 0 and int expected) yield return ($"{name}: {expected} in the reference", colour, false);
        if (predictions?.Count(region => Name(region) == label) is > 0 and int given) yield return ($"{name}: {given} predicted", colour, true);
    }

    // Left to right, then the next line.
    private static (int X, int Y)[] Places(int[] widths, int width)
    {
        var places = new (int X, int Y)[widths.Length];
        int x = Margin, y = 0;
        for (int i = 0; i < widths.Length; i++)
        {
            if (x > Margin && x + widths[i] > width) (x, y) = (Margin, y + Row);
            places[i] = (x, y);
            x += widths[i];
        }

        return places;
    }

    private static void Legend(SKCanvas canvas, SKFont font, (string Text, SKColor Colour, bool Dashed)[] entries, (int X, int Y)[] places, int top)
    {
        using var ink = new SKPaint { Color = SKColors.Black, IsAntialias = true };
        if (entries.Length == 0) canvas.DrawText("nothing is marked", Margin, top + Row * 0.7f, SKTextAlign.Left, font, ink);
        for (int i = 0; i < entries.Length; i++)
        {
            float x = places[i].X, y = top + places[i].Y + Row / 2f;
            using var line = new SKPathBuilder();
            line.MoveTo(x, y);
            line.LineTo(x + Swatch, y);
            using SKPath path = line.Detach();
            Stroke(canvas, path, entries[i].Colour, entries[i].Dashed);
            canvas.DrawText(entries[i].Text, x + Swatch + Margin, y + TextSize / 3, SKTextAlign.Left, font, ink);
        }
    }

    private static void Outline(SKCanvas canvas, Region region, int scale, SKColor colour, bool dashed)
    {
        using var lines = new SKPathBuilder();
        foreach (IReadOnlyList<(double X, double Y)> ring in region.Outline)
        {
            if (ring.Count == 0) continue;
            lines.MoveTo((float)ring[0].X * scale, (float)ring[0].Y * scale);
            foreach ((double x, double y) in ring.Skip(1)) lines.LineTo((float)x * scale, (float)y * scale);
            lines.Close();
        }

        using SKPath path = lines.Detach();
        Stroke(canvas, path, colour, dashed);
    }

    private static void Stroke(SKCanvas canvas, SKPath path, SKColor colour, bool dashed)
    {
        using SKPathEffect? dashes = dashed ? SKPathEffect.CreateDash([9, 6], 0) : null;
        foreach ((SKColor ink, int width) in (ReadOnlySpan<(SKColor, int)>)[(SKColors.Black, Line + 2), (colour, Line)])
        {
            using var paint = new SKPaint { Color = ink, Style = SKPaintStyle.Stroke, StrokeWidth = width, IsAntialias = true, PathEffect = dashes };
            canvas.DrawPath(path, paint);
        }
    }

    private static SKImage Picture(RgbImage image)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(image.Width, image.Height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        Span<byte> rgba = bitmap.GetPixelSpan();
        for (int row = 0; row < image.Height; row++)
        {
            for (int column = 0; column < image.Width; column++)
            {
                Span<byte> to = rgba.Slice(row * bitmap.RowBytes + column * 4, 4);
                image.Pixels.AsSpan((row * image.Width + column) * 3, 3).CopyTo(to);
                to[3] = byte.MaxValue;
            }
        }

        return SKImage.FromBitmap(bitmap);
    }
}
