namespace GemmaCore.Cli.Tests;

/// <summary>Files that README names by their place in a clone are found in any folder, and never instead of the user's own.</summary>
public sealed class ShippedFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Finished Run(params string[] arguments) => GemmacoreProcess.RunIn(_folder.Path, arguments);

    [Fact]
    public void A_shipped_configuration_runs_with_its_table_and_its_pictures()
    {
        Finished run = Run("train", "configs/csv.yaml", "--smoke", "eval_strategy=no", "output_dir=run").Expect(0);
        foreach (string name in (string[])["configs/csv.yaml", "docs/samples/table/cells.csv", "demo/data/training/Microscopy/phantom_cells/imagesTr"])
            Assert.Contains($"{name}: the one that came with gemmacore", run.Error, StringComparison.Ordinal);
        Assert.Equal("run\n", run.Output);
    }

    [Fact]
    public void The_users_own_file_comes_first()
    {
        Directory.CreateDirectory(_folder.File("configs"));
        File.WriteAllText(_folder.File("configs/demo.yaml"), "lora_rnak: 3\n");
        Finished run = Run("train", "configs/demo.yaml", "--smoke").Expect(1);
        Assert.Contains("configs/demo.yaml: lora_rnak", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("came with", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("configs/dmeo.yaml: not found; expected a YAML configuration", "train", "configs/dmeo.yaml")]
    [InlineData("gemmacore.deps.json: not found; expected a YAML configuration", "train", "gemmacore.deps.json")] // beside the program, and none of what README names
    [InlineData("configs/../gemmacore.deps.json: not found; expected a YAML configuration", "train", "configs/../gemmacore.deps.json")]
    [InlineData("configs/dmeo.yaml: not found; expected a YAML file with a dataset block", "predict", "demo", "--data", "configs/dmeo.yaml", "--out", "p.jsonl")]
    public void Anything_else_is_not_found(string complaint, params string[] arguments)
    {
        Finished run = Run(arguments).Expect(2);
        Assert.Contains(complaint, run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("came with", run.Error, StringComparison.Ordinal);
    }
}
