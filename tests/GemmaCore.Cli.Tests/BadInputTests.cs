using System.Buffers.Binary;
using System.Text.Json.Nodes;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

public sealed class BadInputTests : IDisposable
{
    // Characters of the complaint that lists every misfit tensor of an adapter, which grows with the adapter.
    private const int ListingLimit = 1200;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("missing shard", DamagedModel.FirstShard, "not found")]
    [InlineData("truncated shard", DamagedModel.FirstShard, "truncated")]
    [InlineData("header larger than the file", DamagedModel.FirstShard, "50000000 bytes")]
    [InlineData("overlapping offsets", DamagedModel.FirstShard, DamagedModel.Tensor, "overlaps")]
    [InlineData("offsets out of range", DamagedModel.FirstShard, "belong to no tensor")]
    [InlineData("wrong dtype", DamagedModel.FirstShard, "layers.0.mlp.down_proj.weight", "is I8", "expected F32, F16 or BF16")]
    [InlineData("dtype and offsets at odds", DamagedModel.FirstShard, "layers.0.input_layernorm.weight", "F32[128] takes 512 bytes", "offsets cover 256")]
    [InlineData("wrong shape", DamagedModel.FirstShard, "layers.0.mlp.down_proj.weight", "[384, 128]", "expected [128, 384]")]
    [InlineData("missing tokenizer", "tokenizer.json")]
    [InlineData("absurd hidden size", "config.json", "hidden_size", "2000000000")]
    [InlineData("absurd number of layers", "config.json", "num_hidden_layers", "1000000")]
    [InlineData("absurd vocabulary", "config.json", "vocab_size", "-1")]
    [InlineData("config that is no JSON", "config.json", "JSON")]
    public void A_damaged_model_is_refused(string damage, params string[] words)
    {
        string model = DamagedModel.Copy(_folder);
        DamagedModel.Damage(model, damage);
        GemmacoreProcess.Run("generate", model, "--prompt", "Hello", "--max-tokens", "1").ExpectComplaint(1, words);
    }

    [Theory]
    [InlineData("model.gguf", "GGUF", "--quantize nf4 or int8")]
    [InlineData("pytorch_model.bin", "Python pickle", "safetensors")]
    [InlineData("model.onnx", "ONNX", "safetensors")]
    [InlineData("tf_model.h5", "TensorFlow", "safetensors")]
    public void Formats_of_others_are_refused_by_name(string name, params string[] words)
    {
        string folder = _folder.File("other"), file = Path.Combine(folder, name);
        Directory.CreateDirectory(folder);
        File.WriteAllText(file, "GGUF");
        GemmacoreProcess.Run("generate", file, "--prompt", "Hello").ExpectComplaint(2, [name, .. words]);
        GemmacoreProcess.Run("generate", folder, "--prompt", "Hello").ExpectComplaint(2, [name, .. words]);

        string model = DamagedModel.Copy(_folder);
        foreach (string weights in Directory.GetFiles(model, "model*.safetensors*")) File.Delete(weights);
        File.Copy(file, Path.Combine(model, name));
        GemmacoreProcess.Run("generate", model, "--prompt", "Hello").ExpectComplaint(1, [name, .. words]);
    }

    [Fact]
    public void An_empty_name_of_a_folder_is_a_usage_error() => GemmacoreProcess.Run("init", "--preset", "tiny", "--out", "").ExpectComplaint(2, "--out: expected a folder");

    [Fact]
    public void A_question_longer_than_the_context_is_a_bad_row_of_predict()
    {
        File.WriteAllText(_folder.File("rows.jsonl"), string.Concat(new[] { "Hi", string.Concat(Enumerable.Repeat("a b ", 5000)) }
            .Select(question => $$$"""{"messages":[{"role":"user","content":"{{{question}}}"},{"role":"assistant","content":"x"}]}""" + "\n")));
        File.WriteAllText(_folder.File("rows.yaml"), "dataset: { type: messages, path: rows.jsonl }");
        Finished finished = GemmacoreProcess.RunIn(_folder.Path, "predict", "demo", "--data", "rows.yaml", "--out", "out.jsonl", "--max-tokens", "2", "--on-bad-row", "skip");
        finished.Expect(0);
        Assert.Contains("left out: ", finished.Error, StringComparison.Ordinal);
        Assert.Contains("8192 positions", finished.Error, StringComparison.Ordinal);
        Assert.Single(File.ReadLines(_folder.File("out.jsonl")));
        File.Delete(_folder.File("out.jsonl"));
        finished = GemmacoreProcess.RunIn(_folder.Path, "predict", "demo", "--data", "rows.yaml", "--out", "out.jsonl", "--max-tokens", "2");
        finished.ExpectComplaint(1, "line 2", "8192 positions");
    }

    [Fact]
    public void A_file_is_no_model()
    {
        string file = _folder.File("notes.txt");
        File.WriteAllText(file, "");
        GemmacoreProcess.Run("info", file).ExpectComplaint(2, "notes.txt", "is a file", "folder");
    }

    [Fact]
    public void NaN_in_a_matrix_is_found_by_the_check_and_named_with_its_element()
    {
        string model = DamagedModel.Copy(_folder);
        DamagedModel.Damage(model, "NaN");
        GemmacoreProcess.Run("info", model, "--check").ExpectComplaint(1, DamagedModel.FirstShard, "layers.0.mlp.down_proj.weight", "NaN", "element 5");
    }

    [Fact]
    public void An_answer_from_NaN_is_not_given()
    {
        string model = DamagedModel.Copy(_folder);
        DamagedModel.Damage(model, "NaN");
        GemmacoreProcess.Run("generate", model, "--prompt", "Hello", "--max-tokens", "4").ExpectComplaint(1, "not finite", "info MODEL --check");
    }

    [Fact]
    public void An_adapter_whose_tensors_fit_no_layer_is_refused()
    {
        string model = DamagedModel.Copy(_folder), adapter = _folder.File("adapter");
        Directory.CreateDirectory(adapter);
        File.Copy(Path.Combine(model, DamagedModel.FirstShard), Path.Combine(adapter, "adapter_model.safetensors"));
        File.WriteAllText(Path.Combine(adapter, "adapter_config.json"), """{"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj"]}""");
        Finished finished = GemmacoreProcess.Run("generate", model, "--prompt", "Hello", "--adapter", adapter);
        finished.ExpectComplaint(1, ListingLimit, "applied", "another base model", "layers.{0-3}.", "post_layernorm.weight");
    }

    [Fact]
    public void An_adapter_for_another_base_is_refused_with_the_layer_and_both_shapes()
    {
        ShortRun.WriteConfiguration(_folder.Path);
        GemmacoreProcess.RunIn(_folder.Path, "train", "run.yaml", "max_steps=1").Expect(0);
        string model = DamagedModel.Copy(_folder), config = _folder.File("out/adapter_model.safetensors");
        byte[] weights = File.ReadAllBytes(config);
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(weights);
        JsonObject header = JsonNode.Parse(weights.AsSpan(8, length))!.AsObject();
        foreach ((string name, JsonNode? tensor) in header.Where(entry => entry.Key.EndsWith("lora_A.weight", StringComparison.Ordinal)))
        {
            // The same bytes as half the inputs and twice the rank fit the file, but no longer the pair.
            tensor!["shape"] = new JsonArray(tensor["shape"]![0]!.GetValue<int>() * 2, tensor["shape"]![1]!.GetValue<int>() / 2);
        }

        byte[] json = System.Text.Encoding.UTF8.GetBytes(header.ToJsonString());
        File.WriteAllBytes(config, [.. BitConverter.GetBytes((long)json.Length), .. json, .. weights.AsSpan(8 + length)]);
        GemmacoreProcess.RunIn(_folder.Path, "merge", model, "--adapter", "out", "--out", "merged").ExpectComplaint(1, "lora_A [4, ", "rank 2");
        Assert.False(Directory.Exists(_folder.File("merged")));
    }

    [Fact]
    public void A_picture_that_is_none_is_refused()
    {
        File.WriteAllText(_folder.File("note.png"), "this is a note");
        Ask("--image", _folder.File("note.png")).ExpectComplaint(1, "note.png", "not a PNG");
        Ask("--image", _folder.File("nowhere.png")).ExpectComplaint(1, "nowhere.png", "cannot be read");
        Ask("--image", _folder.Path).ExpectComplaint(1, _folder.Path, "is a folder");
        Ask("--image", "").ExpectComplaint(1, "cannot be read");
    }

    [Theory]
    [InlineData("--max-tokens", "0", "at least 1, got 0")]
    [InlineData("--temperature", "-1", "from 0 to 100, got -1")]
    [InlineData("--top-p", "2", "above 0, at most 1, got 2")]
    [InlineData("--repetition-penalty", "0", "above 0, at most 100, got 0")]
    [InlineData("--max-tokens", "many", "expected a whole number")]
    [InlineData("--temperature", "warm", "expected a number")]
    [InlineData("--seed", "-1", "expected a whole number from 0")]
    public void A_sampling_option_out_of_range_is_a_usage_error_that_names_it(string option, string value, string problem) =>
        Ask(option, value).ExpectComplaint(2, option, problem);

    [Fact]
    public void A_huge_picture_is_refused_by_its_header()
    {
        File.WriteAllBytes(_folder.File("huge.png"), PngHeader(40_000, 40_000));
        Ask("--image", _folder.File("huge.png")).ExpectComplaint(1, "huge.png", "40000 x 40000");
    }

    [Fact]
    public void A_prompt_longer_than_the_context_is_refused_with_both_lengths()
    {
        string words = string.Concat(Enumerable.Repeat("cells ", 9_000));
        GemmacoreProcess.Run("generate", "demo", "--prompt", words, "--max-tokens", "1").ExpectComplaint(1, "8192 positions");
    }

    [Fact]
    public void Pictures_and_their_marks_must_be_equally_many()
    {
        string image = Goldens.DemoPath("data/validation-public/Microscopy/phantom_cells/imagesVal/phantom_cells_0000.jpg");
        GemmacoreProcess.Run("generate", "demo", "--raw", "--prompt", "<start_of_image> and <start_of_image>", "--image", image).ExpectComplaint(1, "1 image", "2 image mark");
    }

    [Theory]
    [InlineData("[]", "no rows")]
    [InlineData("{}", "expected a JSON array")]
    [InlineData("[", "not valid JSON")]
    public void A_data_set_without_rows_is_refused_and_nothing_is_written(string questions, string complaint)
    {
        File.WriteAllText(_folder.File("questions.json"), questions);
        GemmacoreProcess.RunIn(_folder.Path, "predict", "demo", "--data", "questions.json", "--out", "answers.json").ExpectComplaint(1, "questions.json", complaint);
        ShortRun.WriteConfiguration(_folder.Path);
        GemmacoreProcess.RunIn(_folder.Path, "train", "run.yaml", "dataset.path=questions.json", "dataset.tasks=all").ExpectComplaint(1, "questions.json", complaint);
        Assert.Equal(["questions.json", "run.yaml"], _folder.Entries);
    }

    [Fact]
    public void An_unreadable_row_stops_the_run_or_is_listed_with_file_and_index()
    {
        string image = Goldens.DemoPath("data/training/Microscopy/phantom_cells/imagesTr/phantom_cells_0000.jpg");
        File.WriteAllText(_folder.File("broken.jpg"), "no picture");
        File.WriteAllText(_folder.File("rows.json"), $$"""
            [{"TaskType": "Counting", "ImageName": "{{image}}", "Question": "How many cells?", "Answer": "3"},
             {"TaskType": "Counting", "ImageName": "missing.jpg", "Question": "How many cells?", "Answer": "3"},
             {"TaskType": "Counting", "ImageName": "broken.jpg", "Question": "How many cells?", "Answer": "3"}]
            """);
        string[] predict = ["predict", "demo", "--data", "rows.json", "--max-tokens", "2", "--out", "answers.json", "--on-bad-row"];
        GemmacoreProcess.RunIn(_folder.Path, [.. predict, "stop"]).ExpectComplaint(1, "rows.json: row 1", "missing.jpg");
        Assert.False(File.Exists(_folder.File("answers.json")));
        string listed = GemmacoreProcess.RunIn(_folder.Path, [.. predict, "skip"]).Expect(0).Error;
        Assert.Contains("left out: rows.json: row 1: image 'missing.jpg' not found", listed, StringComparison.Ordinal);
        Assert.Contains("left out: rows.json: row 2: ", listed, StringComparison.Ordinal);
        Assert.Single(JsonNode.Parse(File.ReadAllText(_folder.File("answers.json")))!.AsArray());

        ShortRun.WriteConfiguration(_folder.Path);
        string[] train = ["train", "run.yaml", "dataset.path=rows.json", "dataset.tasks=all", "max_steps=2", "--on-bad-row"];
        GemmacoreProcess.RunIn(_folder.Path, [.. train, "stop"]).ExpectComplaint(1, "rows.json: row 1", "missing.jpg");
        listed = GemmacoreProcess.RunIn(_folder.Path, [.. train, "skip"]).Expect(0).Error;
        Assert.Contains("left out: rows.json: row 1: image 'missing.jpg' not found", listed, StringComparison.Ordinal);
        Assert.Contains("left out: rows.json: row 2: ", listed, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_configuration_key_names_the_nearest()
    {
        ShortRun.WriteConfiguration(_folder.Path);
        GemmacoreProcess.RunIn(_folder.Path, "train", "run.yaml", "learning_rat=1e-3").ExpectComplaint(1, "learning_rat", "did you mean", "learning_rate");
        File.AppendAllText(_folder.File("run.yaml"), "\nlora_rnk: 4\n");
        GemmacoreProcess.RunIn(_folder.Path, "train", "run.yaml").ExpectComplaint(1, "run.yaml", "lora_rnk", "lora_rank");
        Assert.Equal(["run.yaml"], _folder.Entries);
    }

    [Fact]
    public void A_schema_that_cannot_be_obeyed_is_refused_by_its_file_and_keyword()
    {
        File.WriteAllText(_folder.File("schema.json"), """{"type": "object", "properties": {"a": {"type": "array", "uniqueItems": true}}}""");
        GemmacoreProcess.RunIn(_folder.Path, "generate", "demo", "--prompt", "Hello", "--json-schema", "schema.json").ExpectComplaint(1, "schema.json: $.a", "'uniqueItems'");
        GemmacoreProcess.RunIn(_folder.Path, "generate", "demo", "--prompt", "Hello", "--json-schema", "none.json").ExpectComplaint(1, "none.json");
    }

    [Fact]
    public void An_answer_by_schema_is_json_of_that_form()
    {
        File.WriteAllText(_folder.File("schema.json"), """{"type": "object", "properties": {"count": {"type": "integer", "minimum": 3, "maximum": 5}}, "required": ["count"]}""");
        string answer = GemmacoreProcess.RunIn(_folder.Path, "generate", "demo", "--prompt", "Hello", "--json-schema", "schema.json").Expect(0).Output;
        Assert.InRange(JsonNode.Parse(answer)!["count"]!.GetValue<int>(), 3, 5);
        Assert.Matches("^(yes|no)$", GemmacoreProcess.RunIn(_folder.Path, "generate", "demo", "--prompt", "Hello", "--choice", "yes", "--choice", "no").Expect(0).Output.Trim());
    }

    [Theory]
    [InlineData("did you mean 'generate'?", "generat")]
    [InlineData("did you mean '--prompt'?", "generate", "demo", "--promt", "Hello")]
    [InlineData("did you mean '--smoke'?", "train", "run.yaml", "--smok")]
    [InlineData("'--prompt' is required", "generate", "demo")]
    [InlineData("gemmacore -h")]
    [InlineData("not found", "info", "nowhere")]
    [InlineData("--temperature", "generate", "demo", "--prompt", "Hello", "--temperature", "warm")]
    [InlineData("--device warp: expected auto, cpu or cuda[:N]", "generate", "demo", "--prompt", "Hello", "--device", "warp")]
    [InlineData("cuda:first", "generate", "demo", "--prompt", "Hello", "--device", "cuda:first")]
    [InlineData("the CPU computes in fp32", "generate", "demo", "--prompt", "Hello", "--device", "cpu", "--dtype", "bf16")]
    [InlineData("--arch", "generate", "demo", "--prompt", "Hello", "--device", "cpu", "--arch", "75")]
    [InlineData("--regex: the regular expression has a group that is not closed", "generate", "demo", "--prompt", "Hello", "--regex", "(a")]
    [InlineData("exclude each other", "generate", "demo", "--prompt", "Hello", "--regex", "a", "--choice", "b")]
    [InlineData("--choice: a choice of 0 characters", "generate", "demo", "--prompt", "Hello", "--choice", "")]
    public void A_command_line_that_makes_no_sense_is_a_usage_error(string complaint, params string[] arguments)
    {
        GemmacoreProcess.RunIn(_folder.Path, arguments).ExpectComplaint(2, complaint);
    }

    [Fact]
    public void A_diverging_run_says_so_keeps_its_last_checkpoint_and_leaves_no_adapter_that_is_no_number()
    {
        ShortRun.WriteConfiguration(_folder.Path);
        GemmacoreProcess.RunIn(_folder.Path, "train", "run.yaml", "learning_rate=10", "max_grad_norm=0", "weight_decay=100").ExpectComplaint(1, "diverged", "learning_rate");
        Assert.DoesNotContain("out/adapter_model.safetensors", _folder.Entries);
        GemmacoreProcess.RunIn(_folder.Path, "train", "run.yaml", "overwrite_output_dir=true").Expect(0);
    }

    private static Finished Ask(params string[] arguments) => GemmacoreProcess.Run(["generate", "demo", "--prompt", "What is it?", .. arguments]);

    private static byte[] PngHeader(int width, int height)
    {
        byte[] ihdr = new byte[17];
        "IHDR"u8.CopyTo(ihdr);
        BinaryPrimitives.WriteInt32BigEndian(ihdr.AsSpan(4), width);
        BinaryPrimitives.WriteInt32BigEndian(ihdr.AsSpan(8), height);
        (ihdr[12], ihdr[13]) = (8, 2);
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, .. Chunk(ihdr), .. Chunk("IDAT"u8), .. Chunk("IEND"u8)];
    }

    private static byte[] Chunk(ReadOnlySpan<byte> typeAndBody)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in typeAndBody)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320 & (uint)-(int)(crc & 1));
        }

        var chunk = new byte[typeAndBody.Length + 8];
        BinaryPrimitives.WriteInt32BigEndian(chunk, typeAndBody.Length - 4);
        typeAndBody.CopyTo(chunk.AsSpan(4));
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(4 + typeAndBody.Length), ~crc);
        return chunk;
    }
}
