using System.Globalization;

namespace GemmaCore.Cli.Tests;

/// <summary>A disk that fills while something is saved: one line, and no half file.</summary>
public sealed class FullDiskTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // The limit on the size of a file stands for the full disk: write() fails half-way in the same manner. SIGXFSZ must be ignored for that.
    [Theory]
    [InlineData("train run.yaml", 40, "adapter_model.safetensors")]
    [InlineData("init --preset tiny --out out", 1000, "safetensors")]
    [InlineData("merge demo --adapter adapter --out out", 1000, "safetensors")]
    public void A_full_disk_while_saving_is_told_and_leaves_no_half_file(string arguments, int kilobytes, string file)
    {
        ShortRun.WriteConfiguration(_folder.Path);
        if (arguments.StartsWith("merge", StringComparison.Ordinal)) GemmacoreProcess.RunIn(_folder.Path, "train", "run.yaml", "max_steps=1", "output_dir=adapter").Expect(0);
        string limits = string.Create(CultureInfo.InvariantCulture, $"trap '' XFSZ; ulimit -f {kilobytes}; export DOTNET_EnableWriteXorExecute=0; exec \"$0\" exec \"$1\" {arguments}");
        using GemmacoreProcess process = GemmacoreProcess.Launch(_folder.Path, "bash", ["-c", limits, GemmacoreProcess.Host, GemmacoreProcess.Program]);
        process.WaitForEnd().ExpectComplaint(1, file, "could not be written");
        if (!arguments.StartsWith("train", StringComparison.Ordinal)) Assert.DoesNotContain("out", _folder.Entries);
        Assert.DoesNotContain(_folder.Entries, entry => entry.StartsWith("out", StringComparison.Ordinal)
            && (entry.Contains(".safetensors", StringComparison.Ordinal) || entry.EndsWith(".partial", StringComparison.Ordinal) || Path.GetFileName(entry).StartsWith('.')));
    }

    // The full disk itself, where the machine lets its users mount.
    [Fact]
    public void A_disk_of_three_hundred_kilobytes_keeps_the_checkpoints_that_fit_and_no_half_file()
    {
        using (GemmacoreProcess trial = GemmacoreProcess.Launch(_folder.Path, "bash", ["-c", "unshare -rm mount -t tmpfs none /mnt"]))
            Assert.SkipUnless(trial.WaitForEnd().ExitCode == 0, "no right to mount a small disk here; the limit on file sizes is tested instead");
        ShortRun.WriteConfiguration(_folder.Path);
        Directory.CreateDirectory(_folder.File("out"));
        const string command = "mount -t tmpfs -o size=300k none out; \"$0\" exec \"$1\" train run.yaml save_total_limit=0; code=$?; find out -type f; exit $code";
        using GemmacoreProcess process = GemmacoreProcess.Launch(_folder.Path, "unshare", ["-rm", "bash", "-c", command, GemmacoreProcess.Host, GemmacoreProcess.Program]);
        Finished finished = process.WaitForEnd();
        (finished with { Output = "" }).ExpectComplaint(1, "out/", "could not be written", "No space left");
        string[] left = finished.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains("out/checkpoint-1/trainer_state.json", left);
        Assert.DoesNotContain(left, file => Path.GetFileName(file).StartsWith('.') || file.StartsWith("out/adapter", StringComparison.Ordinal));
    }

    // The weights fit, the tokenizer beside them does not.
    [Theory]
    [InlineData("init --preset tiny --out out/model")]
    [InlineData("merge demo --adapter adapter --out out/model")]
    public void A_disk_with_room_for_the_weights_alone_is_left_empty(string arguments)
    {
        using (GemmacoreProcess trial = GemmacoreProcess.Launch(_folder.Path, "bash", ["-c", "unshare -rm mount -t tmpfs none /mnt"]))
            Assert.SkipUnless(trial.WaitForEnd().ExitCode == 0, "no right to mount a small disk here; failing shards are tested in Checkpoints.Tests");
        ShortRun.WriteConfiguration(_folder.Path);
        if (arguments.StartsWith("merge", StringComparison.Ordinal)) GemmacoreProcess.RunIn(_folder.Path, "train", "run.yaml", "max_steps=1", "output_dir=adapter").Expect(0);
        Directory.CreateDirectory(_folder.File("out"));
        string command = $"mount -t tmpfs -o size=6800k none out; \"$0\" exec \"$1\" {arguments}; code=$?; find out -mindepth 1; exit $code";
        using GemmacoreProcess process = GemmacoreProcess.Launch(_folder.Path, "unshare", ["-rm", "bash", "-c", command, GemmacoreProcess.Host, GemmacoreProcess.Program]);
        process.WaitForEnd().ExpectComplaint(1, "out/model/", "could not be written", "No space left");
    }
}
