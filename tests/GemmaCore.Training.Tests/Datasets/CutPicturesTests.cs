using GemmaCore.Inputs;
using GemmaCore.Testing.Medical;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Tests.Datasets;

public sealed class CutPicturesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-cut-").FullName;

    public CutPicturesTests()
    {
        File.WriteAllBytes(Path.Combine(_folder, "slide.png"), Slides.Png(Slides.Picture(40, 20, new PictureRegion(0, 0, 40, 20))));
        File.WriteAllBytes(Path.Combine(_folder, "glass.png"), Slides.Png(Slides.Picture(40, 20)));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Tiles_and_crops_of_a_data_set_are_pictures_of_its_prompts()
    {
        TrainingExample tiles = Assert.Single(Rows.Open(Table("slide.png,Which?,A", "tiles: { size: 20 }"), ""));
        Assert.Equal(["TILE 1 (x 0, y 0)", "TILE 2 (x 20, y 0)", "Which?"], tiles.Prompt[^1].Content.OfType<TextPart>().Select(part => part.Text));
        Assert.Equal([new(0, 0, 20, 20), new(20, 0, 20, 20)], Regions(tiles));
        Assert.Null(tiles.Tile);
        Assert.Equal([null, new(0, 0, 20, 10), new(20, 0, 20, 10), new(0, 10, 20, 10), new(20, 10, 20, 10)], Regions(Assert.Single(Rows.Open(Table("slide.png,Which?,A", "crops: 2"), ""))));
    }

    [Fact]
    public void Tile_rows_keep_the_answer_and_are_known_by_their_place()
    {
        IReadOnlyList<TrainingExample> rows = Rows.Open(Table("slide.png,Which?,A\nslide.png,And now?,B", "tiles: { size: 20, most: 1 }, tile_rows: true"), "");
        Assert.Equal(["A", "B"], rows.Select(row => row.Answer));
        rows = Rows.Open(Table("slide.png,Which?,A\nslide.png,And now?,B", "tiles: { size: 20 }, tile_rows: true"), "");
        Assert.Equal(["A", "A", "B", "B"], rows.Select(row => row.Answer));
        Assert.Equal(4, rows.Select(row => row.Uid).Distinct().Count());
        Assert.Equal(4, rows.Select(row => row.Row).Distinct().Count());
        Assert.EndsWith(":tile:20:0", rows[1].Uid, StringComparison.Ordinal);
        Assert.Equal(new PictureRegion(20, 0, 20, 20), rows[3].Tile);
        Assert.Equal([rows[3].Tile], Regions(rows[3]));
        Assert.Equal("And now?", rows[3].Question());
    }

    [Fact]
    public void Rows_that_cannot_be_cut_are_bad_rows()
    {
        string table = Table("slide.png,Which?,A\nglass.png,Which?,B", "tiles: { size: 20 }");
        Assert.Contains("no tile holds tissue by the rule 'hsv'", Rows.Refused(table, ""), StringComparison.Ordinal);
        var report = new RowReport(true);
        Assert.Equal("A", Assert.Single(Rows.Open(table, "", report)).Answer);
        Assert.Contains("glass.png", Assert.Single(report.Skipped), StringComparison.Ordinal);
        Assert.Contains("one picture, and this one has 2", Rows.Refused(Table("slide.png|glass.png,Which?,A", "tiles: { size: 20 }, tile_rows: true"), ""), StringComparison.Ordinal);
        Assert.Contains("boxes of a whole picture", Rows.Refused(Table("slide.png,Where?,\"[[1, 2, 3, 4]]\"", "task: detection, tiles: { size: 20 }, tile_rows: true"), ""), StringComparison.Ordinal);
        IReadOnlyList<TrainingExample> cut = Rows.Open(Table("slide.png,Which?,A", "tiles: { size: 20 }"), "");
        Assert.Contains("cut already", Assert.Throws<DatasetException>(() => CutPictures.Of(cut, PictureCut.OfScales(["2"]), false, report)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tiles: { sise: 20 }", "dataset.tiles.sise is not a known key; did you mean dataset.tiles.size?")]
    [InlineData("tiles: { size: 0 }", "dataset.tiles: size: expected a whole number from 1 to 8000")]
    [InlineData("tiles: { tissue: otsu }", "dataset.tiles: tissue rule 'otsu' is unknown")]
    [InlineData("tiles: 20", "dataset.tiles: expected a block")]
    [InlineData("crops: [2, 2]", "dataset.crops: crops '2,2': expected rising scales")]
    [InlineData("tiles: { size: 20 }, crops: 2", "dataset.crops: tiles and crops are two ways")]
    [InlineData("tile_rows: true", "dataset.tile_rows: goes with dataset.tiles")]
    public void Values_that_make_no_sense_are_refused_by_name(string keys, string says) =>
        Assert.Contains(says, Assert.Throws<ConfigurationException>(() => ConfigurationReader.Read($"dataset: {{ path: a, {keys} }}", [])).Message, StringComparison.Ordinal);

    [Fact]
    public void A_configuration_written_back_cuts_alike()
    {
        TrainingConfiguration configuration = ConfigurationReader.Read("dataset: { path: a, tiles: { size: 20, tissue: hsv/0.5 }, tile_rows: true }", []).Configuration;
        DatasetConfiguration again = ConfigurationReader.Read(ConfigurationWriter.ToYaml(configuration), []).Configuration.Dataset;
        Assert.Equal((configuration.Dataset.Cut!.Tiles, true), (again.Cut!.Tiles, again.TileRows));
        Assert.Equal([2, 3], ConfigurationReader.Read(ConfigurationWriter.ToYaml(ConfigurationReader.Read("dataset: { path: a, crops: [2, 3] }", []).Configuration), []).Configuration.Dataset.Cut!.Scales);
    }

    private string Table(string rows, string keys)
    {
        string file = Path.Combine(_folder, "rows.csv");
        File.WriteAllText(file, "image,question,answer\n" + rows + "\n");
        return $"{{ type: csv, path: {file}, {(keys.Contains("task:", StringComparison.Ordinal) ? "" : "task: classification, ")}{keys} }}";
    }

    private static PictureRegion?[] Regions(TrainingExample row) => [.. row.Prompt[^1].Content.OfType<ImagePart>().Select(part => part.Image.Region)];
}
