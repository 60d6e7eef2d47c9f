namespace GemmaCore.Cli.Tests;

/// <summary>Ctrl-C, once and twice, and a kill while a folder is being written: no half of it stays or is in the way.</summary>
public sealed class InterruptTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Init_that_is_interrupted_leaves_nothing(int times)
    {
        using var folder = new TemporaryFolder();
        string model = folder.File("model");
        using GemmacoreProcess process = InTheMiddle(folder);
        for (int i = 0; i < times; i++) process.Interrupt();
        Finished finished = process.WaitForEnd();
        Assert.Contains(finished.ExitCode, (int[])[1, 130]);
        Assert.False(Directory.Exists(model), $"exit code {finished.ExitCode}, but there is {string.Join(", ", Directory.Exists(model) ? Directory.EnumerateFileSystemEntries(model) : [])}");
    }
    [Fact]
    public void Init_that_is_killed_is_written_over_and_what_is_somebody_elses_is_not()
    {
        using var folder = new TemporaryFolder();
        string model = folder.File("model");
        using (GemmacoreProcess process = InTheMiddle(folder)) Assert.True(process.Kill());
        Assert.Equal([".model.safetensors.tmp"], Directory.EnumerateFiles(model).Select(Path.GetFileName));
        GemmacoreProcess.RunIn(folder.Path, "init", "--preset", "tiny", "--out", "model").Expect(0);
        Assert.DoesNotContain(Directory.EnumerateFiles(model), file => file.EndsWith(".tmp", StringComparison.Ordinal));
        GemmacoreProcess.RunIn(folder.Path, "info", "model").Expect(0);
        Assert.Equal("gemmacore: --out model: the folder is not empty; choose another, or delete it if a command was killed there",
            GemmacoreProcess.RunIn(folder.Path, "init", "--preset", "tiny", "--out", "model").Expect(2).Error);
    }

    private static GemmacoreProcess InTheMiddle(TemporaryFolder folder)
    {
        string model = folder.File("model");
        GemmacoreProcess process = GemmacoreProcess.StartInterruptible(folder.Path, "init", "--preset", "gemma-3-270m", "--out", "model");
        for (int i = 0; i < 600 && !(Directory.Exists(model) && Directory.EnumerateFiles(model).Any(file => new FileInfo(file).Length > 1 << 20)); i++) Thread.Sleep(50);
        Assert.True(Directory.Exists(model), "nothing was written within half a minute");
        return process;
    }
}
