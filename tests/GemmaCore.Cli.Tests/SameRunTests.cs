using System.Text.Json.Nodes;

namespace GemmaCore.Cli.Tests;

/// <summary><c>--resume</c> goes on with the run that began: on its base, in its format, with its rows; and where nothing is left to do it does nothing.</summary>
public sealed class SameRunTests : IDisposable
{
    private static readonly string[] Train = ["train", "run.yaml", "max_steps=2"];

    private readonly TemporaryFolder _folder = new();

    public SameRunTests() => ShortRun.WriteConfiguration(_folder.Path);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Another_base_another_format_or_other_rows_are_refused_by_name_and_change_nothing()
    {
        GemmacoreProcess.RunIn(_folder.Path, "quantize", "demo", "--kind", "nf4", "--out", "other").Expect(0);
        GemmacoreProcess.RunIn(_folder.Path, [.. Train, "load_in_4bit=true"]).Expect(0);
        Dictionary<string, (DateTime, string)> before = Files();
        foreach ((string[] words, string complaint) in ((string[], string)[])[
            (["load_in_8bit=true"], "out: its run began with load_in_4bit=true load_in_8bit=false (run.json)"),
            ([], "out: its run began with load_in_4bit=true (run.json)"),
            (["load_in_4bit=true", "quantize_head=int8"], "out: its run began with quantize_head=none (run.json)"),
            (["load_in_4bit=true", "model_name_or_path=other"], "out: its run began with model_name_or_path=demo, and other has other weights (run.json)"),
            (["load_in_4bit=true", "dataset.max_samples=4"], "out: its run began on other rows, with dataset.max_samples=8 (run.json)")])
        {
            // More steps are left to do, but not to such a run.
            GemmacoreProcess.RunIn(_folder.Path, [.. Train, "max_steps=4", .. words, "--resume"])
                .ExpectLine(1, complaint, "give --resume the same, or start anew in another output_dir");
            Assert.Equal(before, Files());
        }

        // What a run may have otherwise when it goes on.
        GemmacoreProcess.RunIn(_folder.Path, [.. Train, "max_steps=3", "load_in_4bit=true", "logging_steps=3", "save_total_limit=1", "--resume"]).Expect(0);
        Assert.Equal(3, Passport()["steps"]!.GetValue<int>());
    }

    [Fact]
    public void A_killed_run_is_known_again_too()
    {
        using GemmacoreProcess process = GemmacoreProcess.Start(_folder.Path, "train", "run.yaml", "max_steps=100000", "load_in_4bit=true");
        Assert.True(process.WaitForLines("step ", 2));
        Assert.True(process.Kill());
        Assert.Equal(0, Passport()["steps"]!.GetValue<int>());
        GemmacoreProcess.RunIn(_folder.Path, "train", "run.yaml", "load_in_8bit=true", "--resume").ExpectLine(1, "out: its run began with load_in_4bit=true load_in_8bit=false");
    }

    [Fact]
    public void A_finished_run_is_left_as_it_is()
    {
        GemmacoreProcess.RunIn(_folder.Path, Train).Expect(0);
        Dictionary<string, (DateTime, string)> before = Files();
        foreach (string[] words in (string[][])[[], ["optim=adamw_8bit", "report_to=tensorboard"], ["max_steps=1"], ["--resume", "out/checkpoint-2"]])
        {
            Finished finished = GemmacoreProcess.RunIn(_folder.Path, [.. Train, .. words, .. words.Contains("--resume") ? [] : (string[])["--resume"]]).Expect(0);
            Assert.Contains("out: the run ended at step 2, nothing is left to do; a higher max_steps", finished.Error, StringComparison.Ordinal);
            Assert.Equal("out", finished.Output.Trim());
            Assert.Equal(before, Files());
        }

        Finished more = GemmacoreProcess.RunIn(_folder.Path, [.. Train, "max_steps=3", "--resume"]).Expect(0);
        Assert.DoesNotContain("optim", more.Error, StringComparison.Ordinal);
        Assert.Equal(3, Passport()["steps"]!.GetValue<int>());
    }

    [Fact]
    public void A_run_that_died_before_its_adapter_was_written_writes_it_when_it_goes_on()
    {
        GemmacoreProcess.RunIn(_folder.Path, Train).Expect(0);
        byte[] adapter = File.ReadAllBytes(_folder.File("out/adapter_model.safetensors"));
        JsonObject passport = Passport();
        passport["steps"] = 0; // as it stands while a run is at work
        File.WriteAllText(_folder.File("out/run.json"), passport.ToJsonString());
        File.Delete(_folder.File("out/adapter_model.safetensors"));
        GemmacoreProcess.RunIn(_folder.Path, [.. Train, "--resume"]).Expect(0);
        Assert.Equal(adapter, File.ReadAllBytes(_folder.File("out/adapter_model.safetensors")));
        Assert.Equal(2, Passport()["steps"]!.GetValue<int>());
    }

    [Fact]
    public void A_run_that_is_refused_before_it_wrote_anything_leaves_no_folder()
    {
        GemmacoreProcess.RunIn(_folder.Path, [.. Train, "output_dir=runs/new/out", "dataset.path=nowhere"]).Expect(1);
        Assert.False(Directory.Exists(_folder.File("runs")));
    }

    private JsonObject Passport() => JsonNode.Parse(File.ReadAllText(_folder.File("out/run.json")))!.AsObject();

    private Dictionary<string, (DateTime, string)> Files() => Directory.EnumerateFiles(_folder.File("out"), "*", SearchOption.AllDirectories)
        .ToDictionary(file => file, file => (File.GetLastWriteTimeUtc(file), Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file)))));
}
