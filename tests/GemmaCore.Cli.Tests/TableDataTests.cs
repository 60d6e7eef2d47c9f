using System.Text.Json.Nodes;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

/// <summary>One YAML file from training to scores, through the program itself, and what is said when it does not fit.</summary>
public sealed class TableDataTests : IDisposable
{
    private const string Header = "Path,Sex,Age,Frontal/Lateral,AP/PA,Atelectasis,Edema\n";

    private readonly TemporaryFolder _folder = new();

    public TableDataTests()
    {
        Directory.CreateDirectory(_folder.File("set"));
        File.WriteAllText(_folder.File("set/train.csv"), Header + "train/patient1.jpg,Male,50,Frontal,AP,1.0,\ntrain/patient2.jpg,Male,51,Frontal,AP,,-1.0\n");
        File.WriteAllText(_folder.File("set/valid.csv"), Header + "valid/patient3.jpg,Male,52,Frontal,AP,1.0,0.0\nvalid/patient4.jpg,Male,53,Frontal,PA,0.0,1.0\n");
        string[] phantoms = [.. Directory.EnumerateFiles(Goldens.DemoPath("data/training/Microscopy/phantom_cells/imagesTr")).Order(StringComparer.Ordinal)];
        foreach ((string name, int phantom) in (((string, int)[])[("train/patient1.jpg", 0), ("train/patient2.jpg", 1), ("valid/patient3.jpg", 2), ("valid/patient4.jpg", 3)]))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File("set/" + name))!);
            File.Copy(phantoms[phantom], _folder.File("set/" + name));
        }

        File.WriteAllText(_folder.File("run.yaml"), """
            model_name_or_path: demo
            dataset: { type: chexpert, path: set, labels: [Atelectasis, Edema] }
            output_dir: run
            eval_strategy: epoch
            lora_rank: 2
            per_device_train_batch_size: 2
            max_steps: 1
            """);
    }

    public void Dispose() => _folder.Dispose();

    private Finished Run(params string[] arguments) => GemmacoreProcess.RunIn(_folder.Path, arguments);

    [Fact]
    public void One_file_is_trained_on_answered_and_scored()
    {
        Run("train", "run.yaml").Expect(0);
        JsonNode passport = JsonNode.Parse(File.ReadAllText(_folder.File("run/run.json")))!;
        Assert.Equal("ones", (string?)passport["configuration"]!["dataset"]!["uncertainty"]);
        Run("predict", "demo", "--adapter", "run", "--data", "run.yaml", "--label-scores", "--max-tokens", "4", "--out", "p.jsonl").Expect(0);
        JsonNode[] lines = [.. File.ReadAllLines(_folder.File("p.jsonl")).Select(line => JsonNode.Parse(line)!)];
        Assert.Equal(["valid:chexpert:valid:patient3:multi_label_classification:0", "valid:chexpert:valid:patient4:multi_label_classification:0"], lines.Select(line => (string?)line["uid"]));
        Assert.Equal(["Atelectasis", "Edema"], lines[0]["scores"]!.AsObject().Select(score => score.Key));
        JsonNode details = JsonNode.Parse(Run("eval", "--pred", "p.jsonl", "--ref", "run.yaml", "--bootstrap", "0", "--json").Expect(0).Output)!;
        Assert.Equal(2, details["per_dataset"]!["chexpert"]!["multi_label_classification"]!["rows"]!.GetValue<int>());
        Assert.NotEmpty(Run("eval", "demo", "--ref", "run.yaml", "--split", "train", "--max-tokens", "4", "--bootstrap", "0", "--out", "scores").Expect(0).Output);
        Assert.Equal(2, File.ReadAllLines(_folder.File("scores/predictions.jsonl")).Length);
    }

    [Theory]
    [InlineData(2, "rows of this data set are known by their uid; their predictions are written as JSON lines", "predict", "demo", "--data", "run.yaml", "--out", "p.json")]
    [InlineData(1, "chexpert has no split 'testing'", "predict", "demo", "--data", "run.yaml", "--split", "testing", "--out", "p.jsonl")]
    [InlineData(1, "elsewhere: not found; expected the folder of CheXpert", "predict", "demo", "--data", "run.yaml", "--set", "dataset.path=elsewhere", "--out", "p.jsonl")]
    [InlineData(1, "dataset.pth is not a known key; did you mean dataset.path?", "predict", "demo", "--data", "run.yaml", "--set", "dataset.pth=x", "--out", "p.jsonl")]
    [InlineData(2, "none.yaml: not found; expected a YAML file with a dataset block", "predict", "demo", "--data", "none.yaml", "--out", "p.jsonl")]
    [InlineData(2, "--set dataset.path=x: goes with a YAML file, not with", "predict", "demo", "--data", "demo", "--set", "dataset.path=x", "--out", "p.jsonl")]
    [InlineData(2, "--set dataset.path=x: expected one YAML file with --ref, got 0", "eval", "--pred", "p", "--ref", "demo", "--set", "dataset.path=x")]
    [InlineData(1, "set/train.csv: there is no column 'Pneumonia'; did you mean", "train", "run.yaml", "dataset.labels=[Pneumonia]")]
    public void What_does_not_fit_is_one_line_with_the_remedy(int exitCode, string problem, params string[] arguments)
    {
        string error = Run(arguments).Expect(exitCode).Error;
        Assert.Contains(problem, error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }
}
