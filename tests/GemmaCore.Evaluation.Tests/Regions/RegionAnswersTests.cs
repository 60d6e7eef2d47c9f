using System.Text.Json.Nodes;
using CsCheck;
using GemmaCore.Evaluation.Regions;

namespace GemmaCore.Evaluation.Tests.Regions;

public class RegionAnswersTests
{
    private static readonly PictureFrame Square = new(200, 200), Wide = new(400, 200), PaddedWide = new(400, 200, Padded: true), PaddedTall = new(101, 200, Padded: true);

    private static Gen<string> Pick(params string?[] items) => Gen.Int[0, items.Length - 1].Select(index => items[index]!);

    private static string Show(string answer, PictureFrame frame) => RegionAnswers.Parse(answer, frame) is { } regions
        ? string.Join(" ", regions.Select(region => FormattableString.Invariant($"{region.Label ?? "-"}:{region.Bounds.X1},{region.Bounds.Y1},{region.Bounds.X2},{region.Bounds.Y2}/{region.Rings.Sum(ring => ring.Count)}")))
        : "none";

    // flare.md §1.5 and MedGemma's own: y before x, thousandths.
    [Theory]
    [InlineData("[[1, 2, 3, 4], [5, 6, 7, 8]]", "-:1,2,3,4/0 -:5,6,7,8/0")]
    [InlineData("[194, 37, 307, 90]", "-:194,37,307,90/0")]
    [InlineData("{\"1\": [[1, 2, 3, 4]], \"X\": [[5, 6, 7, 8]]}", "1:1,2,3,4/0 x:5,6,7,8/0")]
    [InlineData("the box is [1, 2, 3, 4].", "-:1,2,3,4/0")]
    [InlineData("[{\"box_2d\": [100, 200, 300, 400], \"label\": \"Nodule\"}]", "nodule:40,20,80,60/0")]
    [InlineData("```json\n[{\"box_2d\": [100, 200, 300, 400], \"label\": \"a\"}]\n```", "a:40,20,80,60/0")]
    [InlineData("thought: ```json [] ``` Final:\n```\n[{\"box_2d\": [100, 200, 300, 400]}]", "-:40,20,80,60/0")]
    [InlineData("<unused94>thought [1, 2, 3, 4]<unused95>[5, 6, 7, 8]", "-:5,6,7,8/0")]
    [InlineData("Here: [{\"box_2d\": [0.1, 0.2, 0.3, 0.4]}] as shares.", "-:40,20,80,60/0")]
    [InlineData("{\"box_2d\": [[100, 200, 300, 400], [0, 0, 1000, 1000]], \"label\": \"a\"}", "a:40,20,80,60/0 a:0,0,200,200/0")]
    [InlineData("[{\"box_2d\": [300, 400, 100, 200]}]", "-:40,20,80,60/0")]
    [InlineData("[{\"box_2d\": [0, 0, 1500, 1500]}]", "-:0,0,200,200/0")]
    [InlineData("[{\"box_2d\": [100, 200, 300, 400], \"label\": \"a\"}, {\"box_2d\": [500, 6", "a:40,20,80,60/0")]
    [InlineData("[[1, 2], [3, 4], [1, 9]]", "-:1,2,3,9/3")]
    [InlineData("[{\"polygon\": [[1, 2], [3, 4], [1, 9]], \"label\": \"cyst\"}]", "cyst:1,2,3,9/3")]
    [InlineData("{\"segmentation\": [[1, 2, 3, 4, 1, 9]], \"category\": 3}", "3:1,2,3,9/3")]
    [InlineData("{\"points\": [[[0, 0], [9, 0], [9, 9]], [[2, 1], [3, 1], [3, 2]]]}", "-:0,0,9,9/6")]
    [InlineData("{\"lesion\": [[[0, 0], [9, 0], [9, 9]]]}", "lesion:0,0,9,9/3")]
    [InlineData("[{\"polygon_2d\": [[100, 200], [300, 200], [300, 400]]}]", "-:40,20,80,60/3")]
    [InlineData("[]", "")]
    [InlineData("no box", "none")]
    [InlineData("[1, 2, 3]", "none")]
    [InlineData("[{\"box_2d\": [1, 2, 3]}]", "none")]
    [InlineData("[{\"box_2d\": \"all\"}]", "none")]
    public void Answers_of_every_format_are_read(string answer, string expected) => Assert.Equal(expected, Show(answer, Square));

    // In the padded square of 400 x 400 the picture lies between rows 100 and 300; of 101 x 200 from column 49 on.
    [Fact]
    public void Boxes_of_padded_pictures_are_moved_back()
    {
        const string Middle = "{\"box_2d\": [250, 0, 750, 1000]}";
        Assert.Equal("-:0,50,400,150/0", Show(Middle, Wide));
        Assert.Equal("-:0,0,400,200/0", Show(Middle, PaddedWide));
        Assert.Equal("-:0,0,400,0/0", Show("{\"box_2d\": [0, 0, 200, 1000]}", PaddedWide)); // in the black above
        Assert.Equal("-:1,0,101,200/0", Show("{\"box_2d\": [0, 250, 1000, 750]}", PaddedTall));
    }

    [Fact]
    public void What_is_written_is_read_again_within_a_thousandth()
    {
        Gen<Box> box = Gen.Select(Gen.Int[0, 150], Gen.Int[0, 90], Gen.Int[10, 250], Gen.Int[10, 110], Pick(null, "a", "b c"), (x, y, w, h, label) => new Box(x, y, x + w, y + h, label));
        Gen.Select(box.List[0, 5], Gen.Bool, Pick("corners", "keyed", "box_2d")).Sample((boxes, padded, format) =>
        {
            var frame = new PictureFrame(400, 200, padded);
            IReadOnlyList<Region>? read = RegionAnswers.Parse(RegionFormats.Write([.. boxes.Select(Region.Of)], format, frame), frame);
            Assert.NotNull(read);
            Assert.Equal(boxes.Count, read.Count);
            foreach ((Box one, Region other) in (format == "keyed" ? boxes.GroupBy(b => b.Label).SelectMany(group => group) : boxes).Zip(read))
            {
                double slack = format == "box_2d" ? 0.2 + 1e-9 : 0; // half a thousandth of 400 pixels
                Assert.InRange(Math.Abs(one.X1 - other.Bounds.X1), 0, slack);
                Assert.InRange(Math.Abs(one.Y2 - other.Bounds.Y2), 0, slack);
                Assert.Equal(one.Label ?? (format == "keyed" ? "object" : null), other.Label);
            }
        });
    }

    // Without thousandths and polygons nothing may be read otherwise than the rules of scoring read it.
    [Fact]
    public void Plain_answers_are_those_of_the_rules() => Gen.OneOf(Gen.String, Pick("[[1,2,3,4]]", "{\"a\":[1,2,3,4]}", "[{\"x\":1,\"y\":2,\"width\":3,\"height\":4}]", "{\"boxes\":[[1,2,3,4],[2,3,4,5]],\"label\":\"k\"}", "[[1,2,3,4,5]]", "[[1,2,3,4],7]")).Sample(text =>
    {
        if (Boxes.Parse(text) is not { } boxes || boxes.Any(box => !double.IsFinite(box.X1 + box.X2 + box.Y1 + box.Y2))) return;
        Assert.Equal(boxes, RegionAnswers.Parse(text, Square)?.Select(region => region.Bounds));
    });

    [Fact]
    public void Any_text_is_read_without_an_exception() => Gen.Select(Gen.String, Pick("[{\"box_2d\": [1, 2, 3, 4], \"label\": \"a\"}]", "{\"polygon\": [[1,2],[3,4],[5,6]]}", "```json\n[[1,2,3,4]]\n```"), Gen.Int[0, 40]).Sample((noise, answer, cut) =>
        RegionAnswers.Parse(answer[..Math.Min(cut, answer.Length)] + noise + answer, PaddedTall));

    [Fact]
    public void Coco_has_categories_areas_and_rings()
    {
        JsonObject coco = RegionFormats.Coco(
        [
            ("a.png", 200, 100, [Region.Of(new Box(10, 20, 40, 30, "nodule")), Region.Of([[(0, 0), (10, 0), (10, 10), (0, 10)], [(2, 2), (2, 4), (4, 4), (4, 2)]], "cyst")]),
            ("b.png", 50, 60, [Region.Of(new Box(1, 2, 3, 4, null))]),
        ]);
        Assert.Equal("cyst,nodule,object", string.Join(',', coco["categories"]!.AsArray().Select(category => (string?)category!["name"])));
        JsonArray annotations = coco["annotations"]!.AsArray();
        Assert.Equal("[10,20,30,10]", annotations[0]!["bbox"]!.ToJsonString());
        Assert.Equal((300.0, 96.0), ((double)annotations[0]!["area"]!, (double)annotations[1]!["area"]!));
        Assert.Equal("[[0,0,10,0,10,10,0,10],[2,2,2,4,4,4,4,2]]", annotations[1]!["segmentation"]!.ToJsonString());
        Assert.Equal((2, 1, 2), ((int)annotations[0]!["category_id"]!, (int)annotations[1]!["image_id"]!, (int)annotations[2]!["image_id"]!));
    }

    [Fact]
    public void Keys_of_chromosomes_are_written_as_FLARE_spells_them()
    {
        var frame = new PictureFrame(100, 100);
        IReadOnlyList<Region> read = RegionAnswers.Parse("{\"1\": [[1, 2, 3, 4]], \"X\": [[5, 6, 7, 8]], \"Rib\": [[5, 6, 7, 8]]}", frame)!;
        Assert.Equal("{\"1\": [[1, 2, 3, 4]], \"X\": [[5, 6, 7, 8]], \"rib\": [[5, 6, 7, 8]]}", RegionFormats.Write(read, "keyed", frame));
    }
}
