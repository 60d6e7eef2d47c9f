using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Tensors;

namespace GemmaCore.Cli.Tests;

public sealed class ResumeTests : IClassFixture<ResumeTests.UninterruptedRun>
{
    private static readonly string[] SameBytes = ["adapter_model.safetensors", "adapter_config.json", "train.jsonl", "trainer_state.json", "training_loss.png"];

    // Of run.json these two alone tell of the process, not of the run.
    private static readonly string[] ClockAndMemory = ["seconds", "peak_memory_measured_bytes"];

    private readonly UninterruptedRun _whole;

    public ResumeTests(UninterruptedRun whole) => _whole = whole;

    [Fact]
    public void A_run_killed_again_and_again_ends_with_the_bytes_of_one_that_was_not()
    {
        const int kills = 20;
        var random = new Random(7);
        int killed = 0;
        while (killed < kills)
        {
            using var folder = new TemporaryFolder();
            ShortRun.WriteConfiguration(folder.Path);
            for (bool ended = false; !ended;)
            {
                using GemmacoreProcess process = GemmacoreProcess.Start(folder.Path, ["train", "run.yaml", .. Resume(folder)]);
                // Before the first step, or up to three steps on, and then anywhere within the next one and its save.
                bool running = process.WaitForLines("step ", random.Next(4));
                Thread.Sleep(random.Next(running ? 90 : 1));
                if (killed < kills && process.Kill()) killed++;
                else
                {
                    process.WaitForEnd().Expect(0);
                    ended = true;
                }

                AssertEverythingIsReadable(folder.File("out"));
            }

            AssertSameAsUninterrupted(folder);
        }
    }

    [Fact]
    public void Two_threads_give_the_bytes_of_one()
    {
        using var folder = new TemporaryFolder();
        ShortRun.WriteConfiguration(folder.Path);
        using GemmacoreProcess process = GemmacoreProcess.Launch(folder.Path, GemmacoreProcess.Host, ["exec", GemmacoreProcess.Program, "train", "run.yaml"], threads: 2);
        process.WaitForEnd().Expect(0);
        AssertSameAsUninterrupted(folder);
    }

    [Fact]
    public void One_interrupt_finishes_the_step_and_saves_and_the_run_can_go_on_to_the_same_bytes()
    {
        using var folder = new TemporaryFolder();
        ShortRun.WriteConfiguration(folder.Path);
        using GemmacoreProcess process = GemmacoreProcess.StartInterruptible(folder.Path, "train", "run.yaml", "save_steps=100");
        Assert.True(process.WaitForLines("step ", 1));
        process.Interrupt();
        Finished interrupted = process.WaitForEnd().Expect(1);
        int steps = JsonNode.Parse(File.ReadAllText(folder.File("out/trainer_state.json")))!["global_step"]!.GetValue<int>();
        Assert.InRange(steps, 1, ShortRun.Steps - 1);
        Assert.Equal($"gemmacore: interrupted after step {steps} of {ShortRun.Steps} and saved; go on with --resume", interrupted.Error.Split('\n')[^1]);
        Assert.True(Directory.Exists(folder.File($"out/checkpoint-{steps}")));
        GemmacoreProcess.RunIn(folder.Path, "train", "run.yaml", "--resume").Expect(0);
        AssertSameAsUninterrupted(folder);
    }

    [Fact]
    public void Two_interrupts_stop_at_once_and_leave_only_whole_files()
    {
        using var folder = new TemporaryFolder();
        ShortRun.WriteConfiguration(folder.Path);
        // A step of a hundred micro-batches: still at work when the second signal comes.
        using GemmacoreProcess process = GemmacoreProcess.StartInterruptible(
            folder.Path, "train", "run.yaml", "dataset.max_samples=32", "per_device_train_batch_size=1", "gradient_accumulation_steps=32", "num_train_epochs=50", "max_steps=-1");
        Assert.True(process.WaitForLines("step ", 1));
        process.Interrupt();
        Assert.True(process.WaitForLines("gemmacore: finishing the step", 1));
        process.Interrupt();
        process.WaitForEnd().Expect(130);
        Assert.False(File.Exists(folder.File("out/adapter_model.safetensors")));
        AssertEverythingIsReadable(folder.File("out"));
    }

    // Without --resume, checkpoints of another run must neither be lost by mistake nor pass for those of the new one.
    [Fact]
    public void An_unfinished_run_is_not_started_anew_by_mistake_and_a_new_run_leaves_none_of_its_checkpoints()
    {
        using var folder = new TemporaryFolder();
        ShortRun.WriteConfiguration(folder.Path);
        using GemmacoreProcess process = GemmacoreProcess.StartInterruptible(folder.Path, "train", "run.yaml");
        Assert.True(process.WaitForLines("step ", 1));
        process.Interrupt();
        process.WaitForEnd().Expect(1);
        IReadOnlyList<string> before = folder.Entries;
        string refusal = GemmacoreProcess.RunIn(folder.Path, "train", "run.yaml").Expect(1).Error;
        Assert.Matches($"^gemmacore: out: an earlier run stopped there at step \\d+ of {ShortRun.Steps}; go on with --resume", refusal);
        Assert.Equal(before, folder.Entries);

        GemmacoreProcess.RunIn(folder.Path, "train", "run.yaml", "max_steps=2", "overwrite_output_dir=true").Expect(0);
        Assert.Equal(["out/checkpoint-1", "out/checkpoint-2"], folder.Entries.Where(entry => entry.Contains("checkpoint-") && entry.Count(c => c == '/') == 1));
        // A finished run is replaced.
        GemmacoreProcess.RunIn(folder.Path, "train", "run.yaml", "--smoke").Expect(0);
        Assert.Equal(["out/checkpoint-2", "out/checkpoint-3"], folder.Entries.Where(entry => entry.Contains("checkpoint-") && entry.Count(c => c == '/') == 1));
    }

    [Fact]
    public void A_second_run_into_the_folder_of_a_running_one_is_refused_and_disturbs_nothing()
    {
        using var folder = new TemporaryFolder();
        ShortRun.WriteConfiguration(folder.Path);
        using GemmacoreProcess first = GemmacoreProcess.Start(folder.Path, "train", "run.yaml", "max_steps=100000");
        Assert.True(first.WaitForLines("step ", 1));
        // At once: nothing is said of plans or pictures before.
        foreach (string[] words in (string[][])[["--resume"], []])
            GemmacoreProcess.RunIn(folder.Path, ["train", "run.yaml", .. words]).ExpectLine(1, "gemmacore: out: another run is writing there");
        Assert.True(first.WaitForLines("step ", 8), "the first run ended");
        Assert.True(first.Kill());
        AssertEverythingIsReadable(folder.File("out"));
    }

    [Fact]
    public void A_run_that_early_stopping_ended_is_finished_and_goes_on_only_with_more_patience()
    {
        using var folder = new TemporaryFolder();
        ShortRun.WriteConfiguration(folder.Path);
        // No loss falls by a thousand: the evaluation after the first one is one without improvement.
        string[] stopping = ["eval_strategy=steps", "eval_steps=2", "max_eval_samples=2", "early_stopping_patience=1", "early_stopping_threshold=1000"];
        GemmacoreProcess.RunIn(folder.Path, ["train", "run.yaml", .. stopping]).Expect(0);
        Assert.Equal(4, LastStep(folder));
        byte[] adapter = File.ReadAllBytes(folder.File("out/adapter_model.safetensors"));

        GemmacoreProcess.RunIn(folder.Path, ["train", "run.yaml", .. stopping, "--resume"]).Expect(0);
        Assert.Equal(4, LastStep(folder));
        Assert.Equal(adapter, File.ReadAllBytes(folder.File("out/adapter_model.safetensors")));
        GemmacoreProcess.RunIn(folder.Path, ["train", "run.yaml", .. stopping, "early_stopping_patience=2", "--resume"]).Expect(0);
        Assert.Equal(6, LastStep(folder));
        // Finished, so another run may take its place.
        GemmacoreProcess.RunIn(folder.Path, ["train", "run.yaml", .. stopping, "max_steps=1"]).Expect(0);
        Assert.Equal(1, LastStep(folder));
    }

    [Fact]
    public void A_checkpoint_is_named_by_its_folder_and_replaced_by_what_other_settings_make_of_its_successors()
    {
        using var folder = new TemporaryFolder();
        ShortRun.WriteConfiguration(folder.Path);
        GemmacoreProcess.RunIn(folder.Path, "train", "run.yaml", "max_steps=3", "save_total_limit=0").Expect(0);
        byte[] second = File.ReadAllBytes(folder.File("out/checkpoint-2/adapter_model.safetensors"));
        foreach ((string[] words, string complaint) in ((string[], string)[])[
            (["run.yaml", "--resume", "nosuch"], "gemmacore: nosuch: no such folder"),
            (["run.yaml", "--resume", "out"], "gemmacore: out/optimizer.safetensors"),
            (["run.yaml", "--resume", "."], "gemmacore: .: no checkpoint of a run, as it has no trainer_state.json")])
            Assert.Contains(complaint, GemmacoreProcess.RunIn(folder.Path, ["train", .. words]).Expect(1).Error, StringComparison.Ordinal);

        GemmacoreProcess.RunIn(folder.Path, "train", "run.yaml", "max_steps=3", "save_total_limit=0", "--resume", "out/checkpoint-1").Expect(0);
        Assert.Equal(second, File.ReadAllBytes(folder.File("out/checkpoint-2/adapter_model.safetensors")));
        GemmacoreProcess.RunIn(folder.Path, "train", "run.yaml", "max_steps=3", "save_total_limit=0", "learning_rate=0.1", "--resume", "out/checkpoint-1").Expect(0);
        Assert.NotEqual(second, File.ReadAllBytes(folder.File("out/checkpoint-2/adapter_model.safetensors")));
        // Where --resume stands before other words, it does not take one of them for a folder.
        GemmacoreProcess.RunIn(folder.Path, "train", "run.yaml", "--resume", "max_steps=4").Expect(0);
        GemmacoreProcess.RunIn(folder.Path, "train", "--resume", "run.yaml", "max_steps=5").Expect(0);
        Assert.Equal(5, LastStep(folder));
    }

    private static int LastStep(TemporaryFolder folder) =>
        JsonNode.Parse(File.ReadAllText(folder.File("out/trainer_state.json")))!["global_step"]!.GetValue<int>();

    private static string[] Resume(TemporaryFolder folder) =>
        Directory.Exists(folder.File("out")) && Directory.EnumerateDirectories(folder.File("out"), "checkpoint-*").Any(IsComplete) ? ["--resume"] : [];

    private static bool IsComplete(string checkpoint) => !checkpoint.EndsWith(".partial", StringComparison.Ordinal);

    // What bears its final name is whole, whenever the process died.
    private static void AssertEverythingIsReadable(string run)
    {
        if (!Directory.Exists(run)) return;
        foreach (string checkpoint in Directory.EnumerateDirectories(run, "checkpoint-*").Where(IsComplete))
        {
            foreach (string name in (string[])["adapter_model.safetensors", "adapter_config.json", "optimizer.safetensors", "trainer_state.json"])
                Assert.True(File.Exists(Path.Combine(checkpoint, name)), $"{checkpoint} has no {name}");
            AssertReadable(checkpoint);
        }

        AssertReadable(run);
    }

    private static void AssertReadable(string folder)
    {
        using var device = new CpuDevice(1);
        foreach (string file in Directory.EnumerateFiles(folder).Where(file => !Path.GetFileName(file).StartsWith('.')))
        {
            if (file.EndsWith(".safetensors", StringComparison.Ordinal)) SafetensorsFile.Open(file, device).Dispose();
            if (file.EndsWith(".json", StringComparison.Ordinal)) JsonDocument.Parse(File.ReadAllText(file)).Dispose();
            if (file.EndsWith(".jsonl", StringComparison.Ordinal))
                foreach (string line in File.ReadAllLines(file)) JsonDocument.Parse(line).Dispose();
        }
    }

    private void AssertSameAsUninterrupted(TemporaryFolder folder)
    {
        foreach (string name in SameBytes)
            Assert.True(File.ReadAllBytes(_whole.Folder.File("out/" + name)).AsSpan().SequenceEqual(File.ReadAllBytes(folder.File("out/" + name))), $"{name} differs");
        Assert.Equal(Passport(_whole.Folder), Passport(folder));
        Assert.DoesNotContain(
            folder.Entries, entry => Path.GetFileName(entry).StartsWith('.') || entry.EndsWith(".tmp", StringComparison.Ordinal) || entry.EndsWith(".partial", StringComparison.Ordinal));
    }

    private static string Passport(TemporaryFolder folder)
    {
        JsonObject passport = JsonNode.Parse(File.ReadAllText(folder.File("out/run.json")))!.AsObject();
        foreach (string field in ClockAndMemory) Assert.True(passport.Remove(field));
        return passport.ToJsonString();
    }

    /// <summary>The run that nobody disturbs, on one thread.</summary>
    public sealed class UninterruptedRun : IDisposable
    {
        public UninterruptedRun()
        {
            ShortRun.WriteConfiguration(Folder.Path);
            GemmacoreProcess.RunIn(Folder.Path, "train", "run.yaml").Expect(0);
        }

        internal TemporaryFolder Folder { get; } = new();

        public void Dispose() => Folder.Dispose();
    }
}
