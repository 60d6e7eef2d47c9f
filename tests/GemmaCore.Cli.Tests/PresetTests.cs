using System.Text.Json.Nodes;
using GemmaCore.Testing;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Cli.Tests;

/// <summary><c>train</c> and <c>plan</c> with a configuration that travels with the program.</summary>
public sealed class PresetTests : IDisposable
{
    // The embedded model and data, and a step of seconds.
    private static readonly string[] Small =
    [
        "model=demo", "data=demo", "dataset.prompts=question", "dataset.tasks=[phantom_cells]", "output_dir=out", "lora_rank=4", "per_device_train_batch_size=2", "gradient_accumulation_steps=1", "max_length=160",
    ];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_presets_are_those_of_configs()
    {
        Assert.Equal(["4gb", "ampere", "t4"], TrainingPreset.Names);
        foreach (string name in TrainingPreset.Names) Assert.Equal(File.ReadAllText(Goldens.RepositoryPath($"configs/medgemma_{name}.yaml")), TrainingPreset.Find(name));
    }

    [Fact]
    public void A_preset_trains_without_a_file()
    {
        Finished finished = Run(["train", "--preset", "4gb", .. Small, "--smoke", "--device", "cpu"]).Expect(0);
        Assert.Contains("--preset 4gb: data is dataset.path in standard spelling", finished.Error, StringComparison.Ordinal);
        JsonObject configuration = Configuration();
        Assert.True(configuration["load_in_4bit"]!.GetValue<bool>());
        Assert.Equal("int8", configuration["quantize_head"]!.GetValue<string>());
        Assert.Equal(4, configuration["lora_rank"]!.GetValue<int>());
    }

    [Fact]
    public void Keys_of_a_file_lie_over_the_preset_and_those_of_the_command_line_over_both()
    {
        File.WriteAllText(_folder.File("mine.yaml"), "learning_rate: 3.0e-4\nlora_alpha: 7\ndataset: { path: demo }\n");
        Run(["train", "mine.yaml", "--preset", "t4", .. Small, "lora_alpha=9", "--smoke", "--device", "cpu"]).Expect(0);
        JsonObject configuration = Configuration();
        Assert.Equal(3e-4, configuration["learning_rate"]!.GetValue<double>()); // the file's
        Assert.Equal(9, configuration["lora_alpha"]!.GetValue<double>()); // the command line's
        Assert.Equal("token_weighted", configuration["loss_reduction"]!.GetValue<string>()); // the preset's
    }

    [Fact]
    public void A_plan_of_a_preset_by_name_is_that_of_its_file()
    {
        string[] place = ["--preset", "medgemma-4b", "--card", "t4", "--json"];
        string byName = Run(["plan", "--preset", "t4", .. place]).Expect(0).Output, byFile = Run(["plan", Goldens.RepositoryPath("configs/medgemma_t4.yaml"), .. place]).Expect(0).Output;
        Assert.Equal(byFile, byName);
        JsonObject ofDemo = JsonNode.Parse(Run("plan", "demo", "--preset", "t4", "max_length=128", "--device", "cpu", "--json").Expect(0).Output)!.AsObject();
        Assert.Equal(64, ofDemo["settings"]!["lora_rank"]!.GetValue<int>());
    }

    [Theory]
    [InlineData(2, "--preset t5: expected 4gb, ampere, t4", "train", "--preset", "t5")]
    [InlineData(2, "say what to train: a CONFIG (.yaml) or --preset 4gb|ampere|t4", "train")]
    [InlineData(2, "say what to train", "train", "lora_rank=4")]
    [InlineData(2, "nowhere.yaml: not found", "train", "nowhere.yaml", "--preset", "t4")]
    [InlineData(1, "'data': expected key=value", "train", "--preset", "t4", "model=demo", "data")]
    [InlineData(1, "--preset t4: load_in_8bit: load_in_4bit is set as well; leave one of the two out, or set it to false", "train", "--preset", "t4", "load_in_4bit=true")]
    [InlineData(1, "--preset ampere: fp16: bf16 is set as well", "train", "--preset", "ampere", "fp16=true")]
    [InlineData(1, "--preset 4gb: lora_rnk is not a known key; did you mean lora_rank?", "train", "--preset", "4gb", "lora_rnk=3")]
    [InlineData(2, "--preset 4gb: one training configuration and one shape are enough", "plan", "--preset", "t4", "--preset", "4gb")]
    [InlineData(2, "or plan for a shape alone, e.g. --preset medgemma-4b", "plan", "--preset", "t4", "model=nobody/nothing")]
    [InlineData(2, "--preset huge: expected tiny, mini, gemma-3-270m, gemma-3-1b, medgemma-4b, tinyllama-1.1b (the shape of a model) or 4gb, ampere, t4 (a training configuration)", "plan", "--preset", "huge")]
    public void What_makes_no_sense_is_refused_in_one_line(int exitCode, string complaint, params string[] arguments)
    {
        Finished finished = Run(arguments).Expect(exitCode);
        Assert.Contains(complaint, finished.Error.Split('\n')[^1], StringComparison.Ordinal);
        Assert.Equal("", finished.Output);
    }

    private Finished Run(params string[] arguments) => GemmacoreProcess.RunIn(_folder.Path, arguments);

    private JsonObject Configuration() => JsonNode.Parse(File.ReadAllText(_folder.File("out/run.json")))!["configuration"]!.AsObject();
}
