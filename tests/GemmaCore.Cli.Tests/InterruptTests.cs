namespace GemmaCore.Cli.Tests;

/// <summary>Ctrl-C, once and twice, while a folder is being written: no half of it stays.</summary>
public sealed class InterruptTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Init_that_is_interrupted_leaves_nothing(int times)
    {
        using var folder = new TemporaryFolder();
        string model = folder.File("model");
        using GemmacoreProcess process = GemmacoreProcess.StartInterruptible(folder.Path, "init", "--preset", "gemma-3-270m", "--out", "model");
        for (int i = 0; i < 600 && !(Directory.Exists(model) && Directory.EnumerateFiles(model).Any(file => new FileInfo(file).Length > 1 << 20)); i++) Thread.Sleep(50);
        Assert.True(Directory.Exists(model), "nothing was written within half a minute");
        for (int i = 0; i < times; i++) process.Interrupt();
        Finished finished = process.WaitForEnd();
        Assert.Contains(finished.ExitCode, (int[])[1, 130]);
        Assert.False(Directory.Exists(model), $"exit code {finished.ExitCode}, but there is {string.Join(", ", Directory.Exists(model) ? Directory.EnumerateFileSystemEntries(model) : [])}");
    }
}
