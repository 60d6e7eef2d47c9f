using System.Text.Json.Nodes;
using GemmaCore.Inputs;
using GemmaCore.Testing;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Cli.Tests;

public sealed class MedicalImageTests : IDisposable
{
    private const string Question = "Is there a polyp?";

    private static readonly string Picture = Goldens.DemoPath("data/validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_dicom_file_is_answered_as_the_same_pixels_in_another_format()
    {
        RgbImage image = ImageDecoder.Decode(ImageSource.FromFile(Picture));
        string file = _folder.File("colon.dcm");
        File.WriteAllBytes(file, DicomWriter.Colour(image.Width, image.Height, image.Pixels).File());

        JsonNode expected = Answer("--image", Picture), answer = Answer("--image", file);
        Assert.Equal(expected["tokens"]!.ToJsonString(), answer["tokens"]!.ToJsonString());
    }

    [Fact]
    public void Windows_and_frames_change_what_is_seen_and_bad_ones_are_one_line()
    {
        string file = _folder.File("scan.dcm");
        File.WriteAllBytes(file, DicomWriter.Grey(32, 32, Enumerable.Range(0, 2048), "CT").Text(0x0028_0008, "IS", "2").Number(0x0028_1052, -1024).Number(0x0028_1053, 1).File());
        Assert.Equal(4, new[] { Answer("--image", file), Answer("--image", file, "--window", "lung"), Answer("--image", file, "--frame", "2"), Answer("--image", file, "--window=-600/300") }
            .Select(answer => answer["logprobs"]!.ToJsonString()).Distinct().Count());

        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--image", file, "--window", "lungs").ExpectLine(2, "window 'lungs'", "CENTRE/WIDTH");
        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--image", file, "--frame", "3").ExpectLine(1, "no frame 3", "has 2");
        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--image", Picture, "--window", "lung").ExpectLine(1, "window 'lung'", "8 bits");
    }

    [Fact]
    public void A_volume_is_shown_slice_by_slice()
    {
        string volume = _folder.File("ct.nii.gz");
        File.WriteAllBytes(volume, NiftiWriter.File([16, 16, 9], Enumerable.Range(0, 16 * 16 * 9).Select(i => (short)(i - 1024)), isPacked: true));

        int tokens = Answer("--image", Picture)["usage"]!["image_tokens"]!.GetValue<int>();
        JsonNode four = Answer("--volume", volume, "--window", "ct", "--slices", "4", "--instruction", "These are slices of a CT.");
        Assert.Equal(4 * tokens, four["usage"]!["image_tokens"]!.GetValue<int>());
        Assert.Equal(9 * tokens, Answer("--volume", volume, "--window", "ct")["usage"]!["image_tokens"]!.GetValue<int>());

        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--volume", volume).ExpectLine(1, "--window ct", "ct.nii.gz");
        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--slices", "4").ExpectLine(2, "go with --volume");
        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--volume", volume, "--raw").ExpectLine(2, "--raw");
        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--image", volume).ExpectLine(1, "--volume");
    }

    [Fact]
    public void A_slide_is_shown_tile_by_tile_and_any_picture_in_crops()
    {
        string slide = _folder.File("slide.tif");
        File.WriteAllBytes(slide, Slides.Tiff(64, BitMiracle.LibTiff.Classic.Compression.JPEG, Slides.Picture(200, 200, new PictureRegion(0, 0, 100, 200))));
        int tokens = Answer("--image", slide)["usage"]!["image_tokens"]!.GetValue<int>();
        int Pictures(params string[] arguments) => Answer(["--image", slide, .. arguments])["usage"]!["image_tokens"]!.GetValue<int>() / tokens;
        Assert.Equal(8, Pictures("--tiles", "--tile-size", "50"));
        Assert.Equal(16, Pictures("--tiles", "--tile-size", "50", "--tissue", "none", "--instruction", "These are tiles of a slide."));
        Assert.Equal(3, Pictures("--tiles", "--tile-size", "50", "--tile-stride", "25", "--most-tiles", "3", "--tile-seed", "7"));
        Assert.Equal(5, Pictures("--crops", "2"));
        Assert.NotEqual(Answer("--image", slide)["logprobs"]!.ToJsonString(), Answer("--image", slide, "--tiles", "--tile-size", "100")["logprobs"]!.ToJsonString());

        string[] generate = ["generate", "demo", "--prompt", Question, "--image", slide];
        GemmacoreProcess.Run([.. generate, "--tiles", "--tissue", "none", "--tile-size", "4", "--most-tiles", "2000"]).ExpectLine(2, "2000 pictures of", "lower --most-tiles");
        GemmacoreProcess.Run([.. generate, "--tiles", "--tile-size", "0"]).ExpectLine(2, "--tile-size: expected a whole number from 1");
        GemmacoreProcess.Run([.. generate, "--tiles", "--tissue", "otsu"]).ExpectLine(2, "--tissue: tissue rule 'otsu'", "hsv");
        GemmacoreProcess.Run([.. generate, "--tiles", "--crops", "2"]).ExpectLine(2, "leave one out");
        GemmacoreProcess.Run([.. generate, "--crops", "1"]).ExpectLine(2, "--crops: ", "scales from 2 to 8");
        GemmacoreProcess.Run([.. generate, "--most-tiles", "5"]).ExpectLine(2, "--most-tiles goes with --tiles");
        GemmacoreProcess.Run([.. generate, "--tiles", "--raw"]).ExpectLine(2, "--raw");
        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--tiles").ExpectLine(2, "--image");
    }

    [Fact]
    public void A_slide_is_shown_at_a_magnification_and_in_part()
    {
        string slide = Goldens.Path("slides/aperio.svs"), part = _folder.File("part.png");
        string[] generate = ["generate", "demo", "--prompt", Question, "--image", slide];
        int tokens = Answer("--image", Picture)["usage"]!["image_tokens"]!.GetValue<int>();
        // At 5x it has 96 x 64 pixels.
        Assert.Equal(6 * tokens, Answer("--image", slide, "--magnification", "5", "--tiles", "--tile-size", "32", "--tissue", "none")["usage"]!["image_tokens"]!.GetValue<int>());
        Assert.Equal(2 * tokens, Answer("--image", slide, "--magnification", "5x", "--region", "0,0,256,128", "--tiles", "--tile-size", "32", "--tissue", "none")["usage"]!["image_tokens"]!.GetValue<int>());
        File.WriteAllBytes(part, Slides.Png(ImageDecoder.Decode(ImageSource.FromFile(slide) with { Magnification = 5, Region = new(40, 80, 256, 128) })));
        Assert.Equal(Answer("--image", part)["logprobs"]!.ToJsonString(), Answer("--image", slide, "--magnification", "5", "--region", "40,80,256,128")["logprobs"]!.ToJsonString());

        GemmacoreProcess.Run([.. generate, "--magnification", "0"]).ExpectLine(2, "--magnification: expected a number above 0");
        GemmacoreProcess.Run([.. generate, "--magnification", "ten", "--tiles"]).ExpectLine(2, "--magnification: expected a number above 0", "'ten'");
        GemmacoreProcess.Run([.. generate, "--magnification", "40"]).ExpectLine(1, "aperio.svs: was scanned at 20x, and 40x was asked for");
        GemmacoreProcess.Run([.. generate, "--region", "1,2,3"]).ExpectLine(2, "--region: expected x,y,width,height");
        GemmacoreProcess.Run([.. generate, "--region", "380,0,10,10"]).ExpectLine(1, "does not lie within the picture of 384 x 256");
        GemmacoreProcess.Run([.. generate, "--region", "0,0,10,10", "--crops", "2"]).ExpectLine(2, "not with --crops");
        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--region", "0,0,10,10").ExpectLine(2, "--image");
        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--image", Picture, "--magnification", "10").ExpectLine(1, "only slides have one");
        GemmacoreProcess.Run("predict", "demo", "--data", Goldens.DemoPath("data"), "--magnification", "10", "--out", _folder.File("out.json")).ExpectLine(2, "--magnification goes with --tiles or --tile-rows");
    }

    [Fact]
    public void Tiles_of_a_slide_are_rows_of_their_own_with_their_place_in_the_output()
    {
        string folder = _folder.File("data/validation-public/Pathology/made");
        Directory.CreateDirectory(folder);
        File.WriteAllBytes(Path.Combine(folder, "slide.png"), Slides.Png(Slides.Picture(64, 40, new PictureRegion(0, 0, 64, 20))));
        File.WriteAllText(Path.Combine(folder, "made_questions_val.json"), """[{"TaskType": "classification", "Modality": "Pathology", "ImageName": "slide.png", "Question": "Which? A: none, B: some", "Answer": "A"}]""");
        string rows = _folder.File("rows.json"), lines = _folder.File("lines.jsonl"), one = _folder.File("one.json");
        string[] predict = ["predict", "demo", "--data", _folder.File("data"), "--prompts", "question", "--max-tokens", "2"];

        GemmacoreProcess.Run([.. predict, "--tile-rows", "--tile-size", "20", "--out", rows]).Expect(0);
        JsonArray answers = JsonNode.Parse(File.ReadAllText(rows))!.AsArray();
        Assert.Equal(["[0,0,20,20]", "[20,0,20,20]", "[40,0,20,20]", "[44,0,20,20]"], answers.Select(answer => answer!["Tile"]!.ToJsonString()));
        Assert.All(answers, answer => Assert.NotEmpty(answer!["Answer"]!.ToString()));

        GemmacoreProcess.Run([.. predict, "--tile-rows", "--tile-size", "20", "--out", lines, "--label-scores"]).Expect(0);
        JsonNode[] predictions = [.. File.ReadAllLines(lines).Select(line => JsonNode.Parse(line)!)];
        Assert.Equal(answers.Select(answer => answer!["Tile"]!.ToJsonString()), predictions.Select(prediction => prediction["tile"]!.ToJsonString()));
        Assert.Equal(4, predictions.Select(prediction => prediction["uid"]!.ToString()).Distinct().Count());
        Assert.EndsWith(":tile:44:0", predictions[3]["uid"]!.ToString(), StringComparison.Ordinal);
        Assert.Equal(2, predictions[0]["scores"]!.AsObject().Count);
        string before = File.ReadAllText(lines);
        GemmacoreProcess.Run([.. predict, "--tile-rows", "--tile-size", "20", "--out", lines, "--label-scores"]).Expect(0);
        Assert.Equal(before, File.ReadAllText(lines));

        GemmacoreProcess.Run([.. predict, "--tiles", "--tile-size", "20", "--out", one]).Expect(0);
        Assert.Null(Assert.Single(JsonNode.Parse(File.ReadAllText(one))!.AsArray())!["Tile"]);

        // A configuration says the same, for train as well.
        string configuration = _folder.File("run.yaml"), configured = _folder.File("configured.jsonl");
        File.WriteAllText(configuration, $"""
            model_name_or_path: demo
            output_dir: {_folder.File("run")}
            max_steps: 1
            dataset: {"{"} type: flare, path: {_folder.File("data")}, split: validation-public, prompts: question, tiles: {"{"} size: 20 {"}"}, tile_rows: true {"}"}
            """);
        GemmacoreProcess.Run("predict", "demo", "--data", configuration, "--split", "validation-public", "--max-tokens", "2", "--label-scores", "--out", configured).Expect(0);
        Assert.Equal(before, File.ReadAllText(configured));
        GemmacoreProcess.Run("predict", "demo", "--data", configuration, "--split", "validation-public", "--crops", "2", "--out", one).ExpectLine(1, "cut already");
        GemmacoreProcess.Run("train", configuration, "eval_strategy=no").Expect(0);
        GemmacoreProcess.Run([.. predict, "--tiles", "--tissue", "hsv/1", "--out", one]).ExpectLine(1, "no tile holds tissue", "slide.png");
    }

    [Fact]
    public void A_row_of_a_data_set_may_be_a_dicom_file()
    {
        string folder = _folder.File("data/validation-public/CT/made");
        Directory.CreateDirectory(folder);
        File.WriteAllBytes(Path.Combine(folder, "scan.dcm"), DicomWriter.Grey(32, 32, Enumerable.Range(0, 1024), "CT").File());
        File.WriteAllText(Path.Combine(folder, "made_questions_val.json"), """[{"TaskType": "classification", "Modality": "CT", "ImageName": "scan.dcm", "Question": "Which? A: none, B: some", "Answer": "A"}]""");
        string output = _folder.File("predictions.json");
        string[] predict = ["predict", "demo", "--data", _folder.File("data"), "--prompts", "question", "--max-tokens", "4", "--out", output];

        GemmacoreProcess.Run(predict).Expect(0);
        Assert.NotEmpty(JsonNode.Parse(File.ReadAllText(output))![0]!["Answer"]!.ToString());
        File.Delete(output);
        GemmacoreProcess.Run([.. predict, "--window", "file"]).ExpectLine(1, "scan.dcm", "no window of its own");

        // A configuration says it too, to predict and to train.
        string configuration = _folder.File("run.yaml");
        File.WriteAllText(configuration, $"""
            image_window: file
            model_name_or_path: demo
            output_dir: {_folder.File("run")}
            max_steps: 1
            dataset: {"{"} type: flare, path: {_folder.File("data")}, split: validation-public, prompts: question {"}"}
            """);
        GemmacoreProcess.Run("predict", "demo", "--data", configuration, "--split", "validation-public", "--out", output).ExpectLine(1, "scan.dcm", "no window of its own");
        Assert.Contains("no window of its own", GemmacoreProcess.Run("train", configuration).Expect(1).Error, StringComparison.Ordinal);
        GemmacoreProcess.Run("train", configuration, "image_window=lungs").ExpectLine(1, "image_window", "lungs");
    }

    [Fact]
    public void Pictures_are_padded_where_a_flag_or_a_data_set_says_so()
    {
        string wide = Goldens.Path("images/photo_100x60.bmp"), square = _folder.File("square.dcm"), folder = _folder.File("data/validation-public/Endoscopy/made");
        RgbImage padded = ImageDecoder.Decode(ImageSource.FromFile(wide)).PaddedToSquare();
        File.WriteAllBytes(square, DicomWriter.Colour(padded.Width, padded.Height, padded.Pixels).File());
        string Seen(params string[] arguments) => Answer(arguments)["logprobs"]!.ToJsonString();
        Assert.Equal(Seen("--image", square), Seen("--image", wide, "--resize-mode", "pad"));
        Assert.Equal(Seen("--image", wide), Seen("--image", wide, "--resize-mode", "square"));
        Assert.NotEqual(Seen("--image", square), Seen("--image", wide));
        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--image", wide, "--resize-mode", "fit").ExpectLine(2, "'fit'", "'square'", "'pad'");

        Directory.CreateDirectory(folder);
        File.Copy(wide, Path.Combine(folder, "wide.bmp"));
        File.WriteAllText(Path.Combine(folder, "made_questions_val.json"), """
            [{"TaskType": "detection", "Modality": "Endoscopy", "ImageName": "wide.bmp", "Question": "Where?", "Answer": "[[10, 0, 60, 60]]"},
             {"TaskType": "classification", "Modality": "Endoscopy", "ImageName": "wide.bmp", "Question": "Which? A: none, B: some", "Answer": "A"}]
            """);
        string configuration = _folder.File("pad.yaml"), output = _folder.File("scores.jsonl"), boxes = _folder.File("boxes.jsonl");
        File.WriteAllText(configuration, $"{{ resize_mode: pad, dataset: {{ type: flare, path: {_folder.File("data")}, split: validation-public, prompts: question }} }}");
        double Score(params string[] more)
        {
            File.Delete(output);
            GemmacoreProcess.Run(["predict", "demo", "--data", configuration, "--split", "validation-public", "--max-tokens", "1", "--label-scores", "--out", output, .. more]).Expect(0);
            return JsonNode.Parse(File.ReadAllLines(output)[1])!["scores"]!["A"]!.GetValue<double>();
        }

        Assert.Equal(Score("--resize-mode", "pad"), Score());
        Assert.NotEqual(Score("--resize-mode", "square"), Score());

        // Of the square of 100 x 100 pixels, the picture has rows 20 to 80.
        GemmacoreProcess.Run("boxes", "convert", "--data", configuration, "--to", "box_2d", "--out", boxes).Expect(0);
        Assert.Contains("[200, 100, 800, 600]", JsonNode.Parse(File.ReadAllLines(boxes)[0])!["prediction"]!.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_photograph_that_lies_on_its_side_is_turned_where_a_flag_or_a_data_set_says_so()
    {
        string lying = Goldens.Path("images/exif6_120x80.jpg"), upright = _folder.File("upright.dcm"), folder = _folder.File("data/validation-public/Endoscopy/made");
        RgbImage turned = ImageDecoder.Decode(ImageSource.FromFile(lying), applyOrientation: true);
        File.WriteAllBytes(upright, DicomWriter.Colour(turned.Width, turned.Height, turned.Pixels).File());
        string Seen(params string[] arguments) => Answer(arguments)["logprobs"]!.ToJsonString();
        Assert.Equal(Seen("--image", upright), Seen("--image", lying, "--exif-orientation"));
        Assert.Equal(Seen("--image", lying), Seen("--image", lying, "--exif-orientation", "false"));
        Assert.NotEqual(Seen("--image", upright), Seen("--image", lying));
        GemmacoreProcess.Run("generate", "demo", "--prompt", Question, "--image", lying, "--exif-orientation", "--crops", "2").ExpectLine(2, "--exif-orientation", "crops");

        Directory.CreateDirectory(folder);
        File.Copy(lying, Path.Combine(folder, "lying.jpg"));
        File.WriteAllText(Path.Combine(folder, "made_questions_val.json"), """[{"TaskType": "classification", "Modality": "Endoscopy", "ImageName": "lying.jpg", "Question": "Which? A: none, B: some", "Answer": "A"}]""");
        string configuration = _folder.File("turn.yaml"), output = _folder.File("turned.jsonl");
        File.WriteAllText(configuration, $"{{ exif_orientation: true, dataset: {{ type: flare, path: {_folder.File("data")}, split: validation-public, prompts: question }} }}");
        string cut = _folder.File("cut.yaml");
        File.WriteAllText(cut, $"{{ dataset: {{ type: flare, path: {_folder.File("data")}, split: validation-public, crops: [2] }} }}");
        GemmacoreProcess.Run("predict", "demo", "--data", cut, "--split", "validation-public", "--exif-orientation", "--out", output).ExpectLine(2, "--exif-orientation", "crops");
        File.WriteAllText(cut, $"{{ dataset: {{ type: flare, path: {_folder.File("data")}, split: validation-public, box_format: box_2d }} }}");
        GemmacoreProcess.Run("eval", "demo", "--ref", cut, "--split", "validation-public", "--exif-orientation", "--out", _folder.File("scores")).ExpectLine(2, "--exif-orientation", "box_2d");
        double Score(string data, params string[] more)
        {
            File.Delete(output);
            GemmacoreProcess.Run(["predict", "demo", "--data", data, "--split", "validation-public", "--prompts", "question", "--max-tokens", "1", "--label-scores", "--out", output, .. more]).Expect(0);
            return JsonNode.Parse(File.ReadAllLines(output)[0])!["scores"]!["A"]!.GetValue<double>();
        }

        Assert.Equal(Score(_folder.File("data"), "--exif-orientation"), Score(configuration));
        Assert.Equal(Score(_folder.File("data")), Score(configuration, "--exif-orientation", "false"));
        Assert.NotEqual(Score(_folder.File("data")), Score(configuration));
    }

    [Fact]
    public void A_mask_is_no_dicom_file()
    {
        foreach (string name in (string[])["ref", "pred"])
        {
            Directory.CreateDirectory(_folder.File(name));
            File.WriteAllBytes(_folder.File(name + "/a.dcm"), DicomWriter.Grey(2, 2, [0, 1, 1, 0]).File());
        }

        GemmacoreProcess.Run("eval", "--mask", "--ref", _folder.File("ref"), "--pred", _folder.File("pred")).ExpectLine(1, "a.dcm", "save the mask as PNG");
    }

    private static JsonNode Answer(params string[] arguments) => JsonNode.Parse(
        GemmacoreProcess.Run(["generate", "demo", "--prompt", Question, "--temperature", "0", "--max-tokens", "6", "--logprobs", "1", "--json", .. arguments]).Expect(0).Output)!;
}
