using System.Runtime.InteropServices;
using System.Text.Json;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Checkpoints.Tests;

public sealed class CheckpointFolderTests : IDisposable
{
    private const string Index = "model.safetensors.index.json";

    private readonly CpuDevice _device = new(1);
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _device.Dispose();
    }

    public static TheoryData<string> GenerationKeys => [.. Generations().Keys];

    [Theory]
    [MemberData(nameof(GenerationKeys))]
    public void Every_naming_generation_of_the_embedded_model_opens_to_the_same_tensors(string generation)
    {
        List<string> firstNames = Generations()["A (on the Hub)"], names = Generations()[generation];
        if (generation == "text-only") firstNames = [.. firstNames.Where(name => name.StartsWith("language_model.", StringComparison.Ordinal))];
        Assert.Equal(firstNames.Count, names.Count);
        using CheckpointFolder original = CheckpointFolder.Open(Goldens.DemoPath("model"), _device);
        Dictionary<string, string> renamed = names.ToDictionary(name => WeightNames.Canonical(name)!);
        SafetensorsWriter.WriteCheckpoint(_folder.Path, [.. renamed.Select(item => WritableTensor.Of(item.Value, View(original, item.Key)))]);
        using CheckpointFolder opened = CheckpointFolder.Open(_folder.Path, _device);
        Assert.Equal(firstNames.Select(name => WeightNames.Canonical(name)!).Order(), opened.Names.Order());
        foreach (string name in opened.Names)
            Assert.True(View(original, name).AsSpan<ushort>().SequenceEqual(View(opened, name).AsSpan<ushort>()), name);
    }

    [Fact]
    public void A_sharded_copy_has_the_index_of_transformers_and_the_same_fingerprint()
    {
        using CheckpointFolder original = CheckpointFolder.Open(Goldens.DemoPath("model"), _device);
        WritableTensor[] tensors = [.. original.Names.Select(name => WritableTensor.Of(WeightNames.ToGeneration(name, NameGeneration.First), View(original, name)))];
        SafetensorsWriter.WriteCheckpoint(_folder.Path, tensors, maxShardBytes: 1_000_000);
        File.Copy(Goldens.DemoPath("model/config.json"), _folder.File("config.json"));
        using JsonDocument ours = Read(_folder.File(Index)), theirs = Read(Goldens.DemoPath("model/" + Index));
        Assert.Equal(theirs.RootElement.GetProperty("metadata").ToString().ReplaceLineEndings(), ours.RootElement.GetProperty("metadata").ToString().ReplaceLineEndings());
        Assert.Equal(Keys(theirs), Keys(ours));
        using CheckpointFolder copy = CheckpointFolder.Open(_folder.Path, _device);
        Assert.True(copy.Files.Count > 3);
        Assert.Equal(original.TotalBytes, copy.TotalBytes);
        Assert.Equal(original.Fingerprint(), copy.Fingerprint());
        static IEnumerable<string> Keys(JsonDocument index) => index.RootElement.GetProperty("weight_map").EnumerateObject().Select(item => item.Name);
    }

    [Fact]
    public void The_fingerprint_tells_weights_names_and_configurations_apart()
    {
        string Of(float value, string name, string config)
        {
            Write("model.safetensors", (name, [value, 2, 3]));
            File.WriteAllText(_folder.File("config.json"), config);
            using CheckpointFolder folder = CheckpointFolder.Open(_folder.Path, _device);
            return folder.Fingerprint();
        }

        string[] prints = [Of(1, "a", "{}"), Of(1.0000001f, "a", "{}"), Of(1, "b", "{}"), Of(1, "a", "{ }")];
        Assert.Equal(4, prints.Distinct().Count());
        Assert.Equal(prints[0], Of(1, "a", "{}"));
        Assert.Matches("^sha256:[0-9a-f]{64}$", prints[0]);
    }

    [Fact]
    public void Writing_anew_removes_the_older_weights()
    {
        WritableTensor Tensor(string name) => new(name, DType.F32, new Shape(4), stream => stream.Write(new byte[16]));
        SafetensorsWriter.WriteCheckpoint(_folder.Path, [Tensor("a"), Tensor("b"), Tensor("c")], maxShardBytes: 16);
        File.WriteAllText(_folder.File("config.json"), "{}");
        Assert.Equal(5, Directory.GetFiles(_folder.Path).Length);
        SafetensorsWriter.WriteCheckpoint(_folder.Path, [Tensor("a")]);
        Assert.Equal(["config.json", "model.safetensors"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_failure_while_writing_shards_leaves_none_of_them()
    {
        WritableTensor good = new("a", DType.F32, new Shape(4), stream => stream.Write(new byte[16]));
        WritableTensor bad = new("b", DType.F32, new Shape(4), _ => throw new IOException("No space left on device"));
        var error = Assert.Throws<IOException>(() => SafetensorsWriter.WriteCheckpoint(_folder.Path, [good, bad], maxShardBytes: 16));
        Assert.Contains("model-00002-of-00002.safetensors: could not be written: No space left on device", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void An_index_that_cannot_be_written_or_a_cancelled_write_takes_the_shards_with_it()
    {
        WritableTensor Tensor(string name) => new(name, DType.F32, new Shape(4), stream => stream.Write(new byte[16]));
        Directory.CreateDirectory(_folder.File(Index + "/taken"));
        Assert.Throws<IOException>(() => SafetensorsWriter.WriteCheckpoint(_folder.Path, [Tensor("a"), Tensor("b")], maxShardBytes: 16));
        Assert.Empty(Directory.GetFiles(_folder.Path));
        Directory.Delete(_folder.File(Index), recursive: true);

        var started = new List<string>();
        Assert.Throws<OperationCanceledException>(() => SafetensorsWriter.WriteCheckpoint(_folder.Path, [Tensor("a"), Tensor("b"), Tensor("c")], 16, tensor =>
        {
            started.Add(tensor.Name);
            if (tensor.Name == "b") throw new OperationCanceledException();
        }));
        Assert.Equal(["a", "b"], started);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Unsound_folders_are_refused_in_one_line()
    {
        Assert.Contains("there is no such folder", Refusal(_folder.File("none")), StringComparison.Ordinal);
        Assert.Contains("found 0 safetensors files", Refusal(), StringComparison.Ordinal);
        File.WriteAllText(_folder.File("pytorch_model.bin"), "");
        Assert.Contains("pickle", Refusal(), StringComparison.Ordinal);
        Assert.Contains("this is an adapter", Refusal(Goldens.Path("adapters/dora_r4")), StringComparison.Ordinal);
        foreach ((string text, string reason) in ((string, string)[])[
            ("{", "not valid JSON"), ("[]", "no weight_map"), ("{\"weight_map\":{}}", "no weight_map"), ("{\"weight_map\":{\"a\":1}}", "weight_map.a is not a string"),
            ("{\"weight_map\":{\"a\":\"../x.safetensors\"}}", "not a plain file name"), ("{\"weight_map\":{\"a\":\"x.safetensors\"}}", "x.safetensors: not found"),
            ("{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}", "not valid JSON")])
        {
            File.WriteAllText(_folder.File(Index), text);
            Assert.Contains(reason, Refusal(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void An_index_that_disagrees_with_its_shards_is_refused()
    {
        Write("x.safetensors", ("a", [1]));
        Write("y.safetensors", ("b", [1]));
        File.WriteAllText(_folder.File(Index), """{"weight_map":{"a":"x.safetensors","b":"x.safetensors"}}""");
        Assert.Contains("x.safetensors: tensor 'b' is missing, but model.safetensors.index.json says it is there", Refusal(), StringComparison.Ordinal);
        Write("y.safetensors", ("a", [1]), ("b", [2]));
        File.WriteAllText(_folder.File(Index), """{"weight_map":{"a":"x.safetensors","b":"y.safetensors"}}""");
        Assert.Contains("y.safetensors: 'a' is there twice, as 'a' in x.safetensors too", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Two_spellings_of_one_tensor_are_refused()
    {
        Write("model.safetensors", ("language_model.model.norm.weight", [1]), ("model.language_model.norm.weight", [2]));
        Assert.Contains("is there twice, as 'language_model.model.norm.weight'", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_or_misshapen_tensor_is_named_with_what_was_expected()
    {
        using CheckpointFolder folder = CheckpointFolder.Open(Goldens.DemoPath("model"), _device);
        string missing = Assert.Throws<CheckpointException>(() => folder.Require("model.language_model.layers.0.self_attn.q_prj.weight", new Shape(1))).Message;
        Assert.Contains("is missing; nearest: language_model.model.layers.0.self_attn.q_proj.weight", missing, StringComparison.Ordinal);
        string shape = Assert.Throws<CheckpointException>(() => folder.Require("model.language_model.norm.weight", new Shape(7))).Message;
        Assert.Contains("'language_model.model.norm.weight' is [128], expected [7]", shape, StringComparison.Ordinal);
        Assert.Equal(128, folder.ReadFloats("model.language_model.norm.weight", new Shape(128)).Length);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    public void Weights_that_are_no_numbers_are_found(float bad)
    {
        Write("model.safetensors", ("a", [1, 2]), ("norm", [1, bad]));
        using CheckpointFolder folder = CheckpointFolder.Open(_folder.Path, _device);
        Assert.Contains("'norm' holds NaN or infinity at element 1", Assert.Throws<CheckpointException>(folder.CheckFinite).Message, StringComparison.Ordinal);
        Assert.Contains("'norm' holds", Assert.Throws<CheckpointException>(() => folder.ReadFloats("norm", new Shape(2))).Message, StringComparison.Ordinal);
        using CheckpointFolder sound = CheckpointFolder.Open(Goldens.DemoPath("model"), _device);
        sound.CheckFinite();
    }

    [Fact]
    public void A_matrix_that_is_not_floating_point_is_refused_where_weights_are_expected()
    {
        SafetensorsWriter.Write(_folder.File("model.safetensors"), [new WritableTensor("a", DType.I8, new Shape(2), stream => stream.Write(new byte[2]))]);
        using CheckpointFolder folder = CheckpointFolder.Open(_folder.Path, _device);
        Assert.Contains("'a' is I8, expected F32, F16 or BF16", Assert.Throws<CheckpointException>(() => folder.Require("a", new Shape(2))).Message, StringComparison.Ordinal);
    }

    private static Dictionary<string, List<string>> Generations() =>
        JsonSerializer.Deserialize<Dictionary<string, List<string>>>(File.ReadAllText(Goldens.Path("weight_names.json")))!;

    private static JsonDocument Read(string path) => JsonDocument.Parse(File.ReadAllBytes(path));

    private static TensorView View(CheckpointFolder folder, string name) => folder.TryGet(name, out TensorView view) ? view : throw new KeyNotFoundException(name);

    private void Write(string file, params (string Name, float[] Values)[] tensors) => SafetensorsWriter.Write(
        _folder.File(file),
        [.. tensors.Select(tensor => new WritableTensor(
            tensor.Name, DType.F32, new Shape(tensor.Values.Length), stream => stream.Write(MemoryMarshal.AsBytes<float>(tensor.Values))))]);

    private string Refusal(string? folder = null) => Assert.Throws<CheckpointException>(() => CheckpointFolder.Open(folder ?? _folder.Path, _device)).Message;
}
