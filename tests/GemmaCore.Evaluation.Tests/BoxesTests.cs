using CsCheck;

namespace GemmaCore.Evaluation.Tests;

public class BoxesTests
{
    [Theory]
    [InlineData("[1, 2, 3, 4]", 1)]
    [InlineData("[[1, 2, 3, 4], [5, 6, 7.5, 8]]", 2)]
    [InlineData("[1, 2, 3, 4]; [5, 6, 7, 8]", 2)]
    [InlineData("the box is [1,\n2,3e1,4.0].", 1)]
    [InlineData("{\"x1\": 1, \"y1\": 2, \"x2\": 3, \"y2\": 4}", 1)]
    [InlineData("{\"detections\": [{\"bbox\": [1, 2, 3, 4], \"label\": \"a\"}, {\"box\": [1, 2, 3, 4]}]}", 2)]
    [InlineData("{\"1\": [[1, 2, 3, 4], [5, 6, 7, 8]], \"X\": [[9, 9, 10, 10]]}", 3)]
    [InlineData("[]", 0)]
    [InlineData("{}", 0)]
    [InlineData("", 0)]
    [InlineData("No findings", 0)] // says that there is nothing, which is an answer
    [InlineData("[\"[1, 2, 3, 4]\", null, \"none\"]", 1)]
    [InlineData("{\"x1\": \"1\", \"y1\": \"2\", \"x2\": \"3\", \"y2\": \"4.5\"}", 1)]
    [InlineData("{\"1\": [[1, 2, 3, 4], [5, 6, 7, 8]], \"1\": [[9, 9, 10, 10]]}", 1)] // of two members with one name the last counts
    public void Boxes_are_found_in_every_spelling(string text, int count) => Assert.Equal(count, Boxes.Parse(text)!.Count);

    [Theory]
    [InlineData("[1, 2, 3, 4]; [1, 2, 3, 4, 5]")] // one group of five voids the whole answer
    [InlineData("[1, 2, 3]")]
    [InlineData("[1.2.3, 4, 5, 6] x")]
    [InlineData("no box")]
    [InlineData("{\"box\": \"left\"}")]
    [InlineData("the box is [1 2 3 4]")] // numbers stand between commas
    [InlineData("{\"x1\": 1, \"y1\": 2, \"x2\": 3, \"y2\": \"wide\"}")]
    public void An_answer_with_a_bad_group_or_without_a_group_has_no_boxes(string text) => Assert.Null(Boxes.Parse(text));

    [Fact]
    public void Width_and_height_become_corners() =>
        Assert.Equal(new Box(1, 2, 4, 6, "cyst"), Assert.Single(Boxes.Parse("{\"x\": 1, \"y\": 2, \"width\": 3, \"height\": 4, \"class\": \" Cyst\"}")!));

    [Fact]
    public void Keys_of_other_objects_are_labels() => Assert.Equal(["22", "x"], Boxes.Parse("{\"22\": [[1,2,3,4]], \"X\": [1,2,3,4]}")!.Select(box => box.Label));

    [Fact]
    public void A_null_label_is_no_label() => Assert.Null(Boxes.Parse("{\"box\": [1,2,3,4], \"label\": null}")![0].Label);

    [Theory]
    [InlineData("{\"box\": [1,2,3,4], \"name\": \"b\", \"label\": \"a\"}", "a")] // label goes before name
    [InlineData("{\"X\": [{\"box\": [1,2,3,4], \"label\": \" \"}]}", "x")] // an empty label leaves the key's
    [InlineData("{\"X\": [{\"box\": [1,2,3,4], \"label\": 5}]}", "5")]
    public void The_innermost_label_that_says_something_counts(string text, string label) => Assert.Equal(label, Assert.Single(Boxes.Parse(text)!).Label);

    [Theory]
    [InlineData(0, 0, 2, 1, 0, 0, 1, 1, 0.5)]
    [InlineData(0, 0, 1, 1, 0, 0, 1, 1, 1)]
    [InlineData(0, 0, 1, 1, 1, 1, 2, 2, 0)]
    [InlineData(0, 0, 0, 0, 0, 0, 0, 0, 0)] // empty union
    [InlineData(3, 3, 1, 1, 0, 0, 4, 4, 0)] // corners in the wrong order have no area
    public void Iou_is_that_of_real_rectangles(double a1, double a2, double a3, double a4, double b1, double b2, double b3, double b4, double expected) =>
        Assert.Equal(expected, new Box(a1, a2, a3, a4, null).Iou(new Box(b1, b2, b3, b4, null)));

    [Fact]
    public void Iou_is_symmetric_and_within_0_and_1()
    {
        Gen<Box> box = Gen.Select(Gen.Int[-5, 20], Gen.Int[-5, 20], Gen.Int[-5, 20], Gen.Int[-5, 20], (a, b, c, d) => new Box(a, b, c, d, null));
        Gen.Select(box, box).Sample((a, b) => a.Iou(b) == b.Iou(a) && a.Iou(b) is >= 0 and <= 1);
    }
}
