using System.Text.Json.Nodes;
using SkiaSharp;

namespace GemmaCore.Cli.Tests;

/// <summary><c>boxes</c> and masks of polygons, through the program itself.</summary>
public sealed class BoxesTests : IDisposable
{
    private const string Square = "{\"imageWidth\": 8, \"imageHeight\": 8, \"shapes\": [{\"label\": \"1\", \"points\": [[0, 0], [4, 0], [4, 4], [0, 4]], \"shape_type\": \"polygon\"}]}";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Finished Run(params string[] arguments) => GemmacoreProcess.RunIn(_folder.Path, arguments);

    [Fact]
    public void Boxes_survive_the_way_to_MedGemmas_format_and_back()
    {
        Run("boxes", "convert", "--data", "demo", "--dataset", "phantom_chest", "--to", "box_2d", "--out", "m.jsonl").Expect(0);
        Assert.Contains("box_2d", File.ReadAllText(_folder.File("m.jsonl")), StringComparison.Ordinal);
        JsonNode Scores(string file) => JsonNode.Parse(Run("eval", "--pred", file, "--ref", "demo", "--dataset", "phantom_chest", "--bootstrap", "0", "--json").Expect(0).Output)!["mean"]!;
        Assert.Equal(0.0, (double)Scores("m.jsonl")["detection_f1_iou_0.5"]!["value"]!); // the rules take it for something else
        Assert.Contains("note: 40 answers are boxes in MedGemma's box_2d", Run("eval", "--pred", "m.jsonl", "--ref", "demo", "--dataset", "phantom_chest", "--bootstrap", "0").Expect(0).Error, StringComparison.Ordinal);
        Run("boxes", "convert", "--data", "demo", "--dataset", "phantom_chest", "--pred", "m.jsonl", "--to", "corners", "--out", "c.jsonl").Expect(0);
        Assert.Equal(1.0, (double)Scores("c.jsonl")["detection_f1_iou_0.5"]!["value"]!);
        JsonNode first = JsonNode.Parse(File.ReadAllLines(_folder.File("m.jsonl"))[0])!;
        first["prediction"] = "Nothing is seen.";
        File.WriteAllText(_folder.File("one.jsonl"), first.ToJsonString());
        Assert.Contains("note: 1 of 1 answers hold no boxes that can be read and stay as they are", Run("boxes", "convert", "--data", "demo", "--dataset", "phantom_chest", "--pred", "one.jsonl", "--out", "d.jsonl").Expect(0).Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Overlays_and_coco_are_written()
    {
        Run("boxes", "convert", "--data", "demo", "--dataset", "phantom_chest", "--to", "coco", "--out", "coco.json").Expect(0);
        JsonNode coco = JsonNode.Parse(File.ReadAllText(_folder.File("coco.json")))!;
        Assert.Equal(40, coco["images"]!.AsArray().Count);
        Finished drawn = Run("boxes", "draw", "--data", "demo", "--dataset", "phantom_chest", "--out", "o", "--max", "1").Expect(0);
        JsonNode box = coco["annotations"]![0]!["bbox"]!;
        using SKBitmap picture = SKBitmap.Decode(Path.Combine(_folder.Path, drawn.Output.Trim()));
        Assert.Equal(672, picture.Width); // six times 112
        Assert.True(picture.Height > 672);
        // On the left edge of the box, in the middle of its height, the first colour of the palette.
        SKColor edge = picture.GetPixel((int)(6 * (double)box[0]!), (int)(6 * ((double)box[1]! + (double)box[3]! / 2)));
        Assert.Equal(new SKColor(0xE6, 0x9F, 0x00), edge);
    }

    [Fact]
    public void Polygons_are_scored_as_masks()
    {
        foreach (string name in (string[])["r", "p"]) Directory.CreateDirectory(_folder.File(name));
        File.WriteAllText(_folder.File("r/a.json"), Square);
        File.WriteAllText(_folder.File("p/a.json"), "[[[0, 0], [8, 0], [8, 4], [0, 4]]]");
        JsonNode scores = JsonNode.Parse(Run("eval", "--mask", "--ref", "r", "--pred", "p", "--json").Expect(0).Output)!;
        Assert.Equal((2 / 3.0, 0.5, 0.5), ((double)scores["mean_dice"]!, (double)scores["mean_iou"]!, (double)scores["cumulative_iou"]!));
        // An answer of a model, against a mask that is a picture.
        using (var mask = new SKBitmap(new SKImageInfo(8, 8)))
        {
            mask.Erase(SKColors.Black);
            for (int i = 0; i < 16; i++) mask.SetPixel(i % 4, i / 4, SKColors.White);
            Directory.CreateDirectory(_folder.File("m"));
            using SKData png = mask.Encode(SKEncodedImageFormat.Png, 100);
            File.WriteAllBytes(_folder.File("m/a.png"), png.ToArray());
        }

        File.WriteAllText(_folder.File("answers.jsonl"), "{\"uid\": \"val:d:f:a:detection:0\", \"prediction\": \"```json\\n[{\\\"box_2d\\\": [0, 0, 500, 1000]}]\\n```\"}\n");
        scores = JsonNode.Parse(Run("eval", "--mask", "--ref", "m", "--pred", "answers.jsonl", "--json").Expect(0).Output)!;
        Assert.Equal(0.5, (double)scores["mean_iou"]!);
    }

    [Theory]
    [InlineData(1, "the data hold no questions of task detection", "boxes", "convert", "--data", "demo", "--dataset", "phantom_brain", "--out", "x")]
    [InlineData(1, "p.jsonl: no prediction belongs to any of the 40 questions about boxes", "boxes", "draw", "--data", "demo", "--dataset", "phantom_chest", "--pred", "p.jsonl", "--out", "x")]
    [InlineData(2, "--max: expected at least 1", "boxes", "draw", "--data", "demo", "--dataset", "phantom_chest", "--out", "x", "--max", "0")]
    [InlineData(2, "--out r: this is a folder", "boxes", "convert", "--data", "demo", "--dataset", "phantom_chest", "--out", "r")]
    [InlineData(1, "sizeless.json: nothing says how large the picture is", "eval", "--mask", "--ref", "s", "--pred", "r")]
    [InlineData(1, "the label 'tumour' is no number of a structure", "eval", "--mask", "--mask-classes", "--ref", "l", "--pred", "r")]
    [InlineData(1, "bad.json: shape 0: expected points, a list of [x, y]", "eval", "--mask", "--ref", "b", "--pred", "r")]
    public void What_does_not_fit_is_one_line_with_the_remedy(int exitCode, string problem, params string[] arguments)
    {
        foreach (string name in (string[])["r", "s", "l", "b"]) Directory.CreateDirectory(_folder.File(name));
        foreach (string name in (string[])["sizeless", "l", "bad"]) File.WriteAllText(_folder.File($"r/{name}.json"), Square);
        File.WriteAllText(_folder.File("s/sizeless.json"), "[[1, 2, 3, 4]]");
        File.WriteAllText(_folder.File("l/l.json"), Square.Replace("\"1\"", "\"tumour\"", StringComparison.Ordinal));
        File.WriteAllText(_folder.File("b/bad.json"), Square.Replace("[[0, 0], [4, 0], [4, 4], [0, 4]]", "[[1, 2]]", StringComparison.Ordinal));
        File.WriteAllText(_folder.File("p.jsonl"), "{\"uid\": \"x\", \"prediction\": \"y\"}\n");
        string error = Run(arguments).Expect(exitCode).Error;
        Assert.Contains(problem, error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }
}
