using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using GemmaCore.Testing;
using GemmaCore.Testing.Fuzz;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests;

public sealed class BadInputTests : IDisposable
{
    private static readonly PromptEncoder Encoder = PromptEncoder.Load(Goldens.DemoPath("model"));
    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-bad-input").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_missing_tokenizer_is_named() => AssertSays("tokenizer.json", () => Tokenizer.Load(_folder));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1000)]
    [InlineData(60_541)]
    public void A_truncated_tokenizer_model_is_refused_or_read(int length)
    {
        byte[] whole = File.ReadAllBytes(Goldens.DemoPath("model/tokenizer.model"));
        string path = Write("tokenizer.model", whole[..length]);
        AssertSays("tokenizer.model", () => Tokenizer.FromModelFile(path));
    }

    [Theory]
    [InlineData("{", "JSON")]
    [InlineData("[]", "object")]
    [InlineData("{}", "model")]
    [InlineData("""{"model": {"type": "WordPiece"}}""", "WordPiece")]
    [InlineData("""{"model": {"vocab": {}, "merges": []}}""", "at least one token")]
    [InlineData("""{"model": {"vocab": {"a": -1}, "merges": []}}""", "'model.vocab.a'")]
    [InlineData("""{"model": {"vocab": {"a": 2000000000}, "merges": []}}""", "token id")]
    [InlineData("""{"model": {"vocab": {"a": 0}, "merges": [["a", "b"]]}}""", "merges[0]")]
    [InlineData("""{"model": {"vocab": {"a": 0}, "merges": ["a"]}}""", "merges[0]")]
    [InlineData("""{"model": {"vocab": {"a": 0}, "merges": []}}""", "replaces spaces")]
    [InlineData("""{"model": {"vocab": {"a": 0}, "merges": []}, "normalizer": {"type": "NFKC"}}""", "NFKC")]
    [InlineData("""{"model": {"vocab": {"a": 0}, "merges": []}, "pre_tokenizer": {"type": "ByteLevel"}}""", "ByteLevel")]
    [InlineData("""{"model": {"vocab": {"a": 0, "\ud800": 1}, "merges": []}}""", "Unicode")]
    [InlineData("""{"model": {"vocab": {"a": 0}, "merges": []}, "added_tokens": [{"id": 1, "content": "<m>", "lstrip": true}]}""", "lstrip")]
    public void A_tokenizer_json_of_another_kind_is_refused(string json, string says) =>
        AssertSays(says, () => Tokenizer.FromJson(Encoding.UTF8.GetBytes(json), "tokenizer.json"));

    [Fact]
    public void Mutated_tokenizer_files_raise_nothing_but_input_errors() =>
        Assert.Equal(20_000, TokenizerJsonFuzz.Run(20_000, seed: 2026).Inputs);

    [Fact]
    public void A_file_that_is_no_picture_is_refused() => AssertSays("not a PNG", () => ImageDecoder.Decode(ImageSource.FromBytes("hello"u8.ToArray())));

    [Fact]
    public void An_empty_file_and_a_missing_one_are_refused()
    {
        AssertSays("0 bytes", () => ImageDecoder.Decode(ImageSource.FromBytes(Array.Empty<byte>())));
        AssertSays("absent.png", () => ImageDecoder.Decode(ImageSource.FromFile(Path.Combine(_folder, "absent.png"))));
    }

    [Theory]
    [InlineData("images/rgb_37x53.png")]
    [InlineData("images/photo_200x150.jpg")]
    [InlineData("images/lossless_70x50.webp")]
    [InlineData("images/photo_100x60.bmp")]
    [InlineData("images/frames_40x30.gif")]
    public void A_truncated_picture_is_refused(string file)
    {
        byte[] whole = File.ReadAllBytes(Goldens.Path(file));
        int firstFrame = file.EndsWith(".gif", StringComparison.Ordinal) ? 4 : 2; // later GIF frames are not read
        for (int length = 0; length <= whole.Length / firstFrame; length += 97)
            Assert.Throws<InputException>(() => ImageDecoder.Decode(ImageSource.FromBytes(whole.AsMemory(0, length))));
    }

    [Fact]
    public void A_gigantic_picture_is_refused_by_its_header() =>
        AssertSays("40000 x 40000", () => ImageDecoder.Decode(ImageSource.FromBytes(Png(40_000, 40_000, 8, 2, []))));

    [Fact]
    public void Sixteen_bit_pictures_keep_their_upper_bits()
    {
        byte[] row = [0, /* red */ 0x12, 0x34, /* green */ 0xAB, 0x00, /* blue */ 0xFF, 0xFF];
        RgbImage rgb = ImageDecoder.Decode(ImageSource.FromBytes(Png(1, 1, 16, 2, row)));
        RgbImage grey = ImageDecoder.Decode(ImageSource.FromBytes(Png(1, 1, 16, 0, [0, 0x80, 0x10])));

        Assert.Equal([0x12, 0xAB, 0xFF], rgb.Pixels);
        Assert.Equal([0x80, 0x80, 0x80], grey.Pixels);
    }

    [Fact]
    public void Orientation_turns_the_picture_only_when_asked()
    {
        ImageSource source = ImageSource.FromFile(Goldens.Path("images/exif6_120x80.jpg"));
        RgbImage stored = ImageDecoder.Decode(source), turned = ImageDecoder.Decode(source, applyOrientation: true);

        Assert.Equal((120, 80, 80, 120), (stored.Width, stored.Height, turned.Width, turned.Height));
        // Orientation 6 is a quarter turn clockwise: the stored lower left corner becomes the upper left one.
        Assert.Equal(stored.Pixels.AsSpan(79 * 120 * 3, 3).ToArray(), turned.Pixels.AsSpan(0, 3).ToArray());
        Assert.Equal(stored.Pixels.AsSpan(0, 3).ToArray(), turned.Pixels.AsSpan(79 * 3, 3).ToArray());
    }

    [Fact]
    public void Pictures_and_marks_must_match()
    {
        ImageSource picture = ImageSource.FromFile(Goldens.Path("images/one_1x1.png"));
        AssertSays("1 image(s) for 0", () => Encoder.EncodeText("no mark", [picture]));
        AssertSays("0 image(s) for 1", () => Encoder.Encode([ChatMessage.FromText(ChatRole.User, "look: <start_of_image>")], addGenerationPrompt: true));
        AssertSays("<image_soft_token>", () => Encoder.Encode([ChatMessage.FromText(ChatRole.User, "x<image_soft_token>")], addGenerationPrompt: true));
    }

    [Fact]
    public void Raw_text_gets_exactly_one_opening_token()
    {
        Assert.Equal(Encoder.EncodeText("Hi", []).Ids, Encoder.EncodeText("<bos>Hi", []).Ids);
        Assert.Equal(32, Encoder.EncodeText("", [.. Enumerable.Repeat(ImageSource.FromFile(Goldens.Path("images/one_1x1.png")), 2)]).ImageTokenCount);
    }

    [Fact]
    public void Pan_and_scan_words_stand_around_the_crops()
    {
        PromptEncoder encoder = Encoder with { PanAndScan = new PanAndScan(MinCropSize: 25) };
        Prompt prompt = encoder.EncodeText("<start_of_image>", [ImageSource.FromFile(Goldens.Path("images/photo_100x60.bmp"))]);
        string soft = "\n\n<start_of_image>" + string.Concat(Enumerable.Repeat("<image_soft_token>", 16)) + "<end_of_image>\n\n";

        Assert.Equal($"<bos>Here is the original image {soft} and here are some crops to help you see better {soft} {soft}",
            encoder.Tokenizer.Decode(prompt.Ids, skipSpecialTokens: false));
        Assert.Equal((3, 3), (prompt.Images.Count, prompt.ImageSpans.Count));
    }

    [Fact]
    public void Roles_out_of_order_are_refused()
    {
        ChatMessage system = ChatMessage.FromText(ChatRole.System, "s"), user = ChatMessage.FromText(ChatRole.User, "u");
        foreach (ChatTemplate template in (ChatTemplate[])[ChatTemplate.Gemma3, ChatTemplate.Zephyr])
        {
            AssertSays("message 1 is the user's where the assistant's is expected", () => template.Render([user, user], addGenerationPrompt: true));
            AssertSays("message 1 is the system's", () => template.Render([user, system], addGenerationPrompt: true));
            AssertSays("empty", () => template.Render([], addGenerationPrompt: true));
        }
    }

    [Fact]
    public void Zephyr_writes_a_turn_per_role() => Assert.Equal(
        "<s><|system|>\nBe kind.</s>\n<|user|>\nHi</s>\n<|assistant|>\n",
        ChatTemplate.Zephyr.Render([ChatMessage.FromText(ChatRole.System, "Be kind."), ChatMessage.FromText(ChatRole.User, "Hi")], addGenerationPrompt: true));

    [Theory]
    [InlineData("chat_template.jinja", "{{ '<start_of_turn>' }}", "<bos><start_of_turn>user\nHi<end_of_turn>\n")]
    [InlineData("chat_template.json", "{\"chat_template\": \"<|user|>\"}", "<s><|user|>\nHi</s>\n")]
    [InlineData("chat_template.jinja", "{{ '[INST]' }}", null)]
    public void The_template_is_chosen_by_the_folders_template_text(string name, string text, string? rendered)
    {
        CopyModelFiles();
        File.Delete(Path.Combine(_folder, "chat_template.jinja"));
        Write(name, Encoding.UTF8.GetBytes(text));
        PromptEncoder encoder = PromptEncoder.Load(_folder);
        ChatMessage[] messages = [ChatMessage.FromText(ChatRole.User, "Hi")];

        if (rendered is null) AssertSays("raw prompt", () => encoder.Encode(messages, addGenerationPrompt: false));
        else Assert.Equal(encoder.Tokenizer.Encode(rendered, addBos: false), encoder.Encode(messages, addGenerationPrompt: false).Ids);
    }

    [Fact]
    public void Clip_settings_scale_the_shorter_side_and_crop_the_centre()
    {
        Write("preprocessor_config.json", Encoding.UTF8.GetBytes("""
            {"do_center_crop": true, "crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 224}, "resample": 3,
             "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
            """));
        RgbImage image = ImageDecoder.Decode(ImageSource.FromFile(Goldens.Path("images/photo_200x150.jpg")));
        ImagePixels pixels = ImagePreprocessor.Load(_folder).Process(image);

        RgbImage cropped = PillowResize.Resize(image, 298, 224, ResampleFilter.Bicubic).Crop(37, 0, 224, 224);
        Assert.Equal((224, 224), (pixels.Height, pixels.Width));
        Assert.Equal(((float)(cropped.Pixels[1] * (1 / 255.0)) - 0.4578275f) / 0.26130258f, pixels.Values[224 * 224]);
        Assert.Equal(((float)(cropped.Pixels[^1] * (1 / 255.0)) - 0.40821073f) / 0.27577711f, pixels.Values[^1]);
    }

    [Theory]
    [InlineData("mm_tokens_per_image", "128", "cannot be pooled")]
    [InlineData("mm_tokens_per_image", "64", "image_seq_length")]
    [InlineData("image_token_index", "9999", "image_token_index")]
    [InlineData("boi_token_index", "\"x\"", "boi_token_index")]
    public void A_config_that_contradicts_the_processor_is_refused(string key, string value, string says)
    {
        CopyModelFiles();
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, "config.json")))!;
        config[key] = JsonNode.Parse(value);
        File.WriteAllText(Path.Combine(_folder, "config.json"), config.ToJsonString());

        AssertSays(says, () => PromptEncoder.Load(_folder));
    }

    [Fact]
    public void A_text_only_model_refuses_pictures_and_needs_no_processor()
    {
        CopyModelFiles();
        File.Delete(Path.Combine(_folder, "preprocessor_config.json"));
        AssertSays("preprocessor_config.json", () => PromptEncoder.Load(_folder));
        File.WriteAllText(Path.Combine(_folder, "config.json"), """{"model_type": "gemma3_text"}""");
        PromptEncoder encoder = PromptEncoder.Load(_folder);

        Assert.False(encoder.TakesImages);
        AssertSays("no vision tower", () => encoder.EncodeText("<start_of_image>", [ImageSource.FromFile("x.png")]));
    }

    [Fact]
    public void Stop_ids_always_include_the_end_of_turn()
    {
        GenerationDefaults embedded = GenerationDefaults.Load(Goldens.DemoPath("model"), Encoder.Tokenizer);
        Assert.Equal((true, 1.0, 64, 0.95), (embedded.DoSample, embedded.Temperature, embedded.TopK, embedded.TopP));
        Assert.Equal([1, 11], embedded.StopIds);

        Write("generation_config.json", Encoding.UTF8.GetBytes("""{"eos_token_id": 1, "temperature": null}"""));
        Assert.Equal([1, 11], GenerationDefaults.Load(_folder, Encoder.Tokenizer).StopIds);
        Write("generation_config.json", Encoding.UTF8.GetBytes("""{"top_p": 2}"""));
        AssertSays("top_p", () => GenerationDefaults.Load(_folder, Encoder.Tokenizer));
    }

    private static void AssertSays(string words, Action action)
    {
        string message = Assert.Throws<InputException>(action).Message;
        Assert.Contains(words, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    private string Write(string name, byte[] bytes)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private void CopyModelFiles()
    {
        foreach (string name in (string[])["config.json", "tokenizer.model", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json", "chat_template.jinja"])
            File.Copy(Goldens.DemoPath("model/" + name), Path.Combine(_folder, name));
    }

    private static byte[] Png(int width, int height, byte depth, byte colourType, byte[] rows)
    {
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = (depth, colourType);
        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Optimal, leaveOpen: true)) zlib.Write(rows);
        return [0x89, .. "PNG\r\n\u001a\n"u8, .. DeepPictures.Chunk("IHDR"u8, header), .. DeepPictures.Chunk("IDAT"u8, compressed.ToArray()), .. DeepPictures.Chunk("IEND"u8, [])];
    }
}
