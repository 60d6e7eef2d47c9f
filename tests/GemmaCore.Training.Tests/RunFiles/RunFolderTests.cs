using GemmaCore.Training.RunFiles;

namespace GemmaCore.Training.Tests.RunFiles;

public sealed class RunFolderTests : IDisposable
{
    private readonly string _folder = Path.Combine(Directory.CreateTempSubdirectory("gemmacore-run-").FullName, "run");

    [Fact]
    public void Only_complete_checkpoints_count_in_order_of_steps()
    {
        foreach (string name in (string[])["checkpoint-200", "checkpoint-30", "checkpoint-x", "checkpoint-40.partial", "checkpoint-50"])
            Directory.CreateDirectory(Path.Combine(_folder, name));
        foreach (string name in (string[])["checkpoint-200", "checkpoint-30", "checkpoint-x"])
            File.WriteAllText(Path.Combine(_folder, name, TrainerStateFile.Name), "{}");
        using var folder = new RunFolder(_folder);
        Assert.Equal([30, 200], folder.Checkpoints.Select(item => item.Step));
        Assert.False(Directory.Exists(Path.Combine(_folder, "checkpoint-40.partial"))); // what a killed save left behind
    }

    [Fact]
    public void The_log_grows_by_a_line_and_is_cut_back_whole()
    {
        using var folder = new RunFolder(_folder);
        LogEntry[] entries = [new(1, 0.1, 2, 1, 1e-3, null), new(2, 0.2, null, null, null, 1.5)];
        folder.WriteLog([]);
        foreach (LogEntry entry in entries) folder.AppendLog(entry);
        string path = Path.Combine(_folder, "train.jsonl");
        Assert.Equal(["{\"epoch\":0.1,\"grad_norm\":1,\"learning_rate\":0.001,\"loss\":2,\"step\":1}", "{\"epoch\":0.2,\"eval_loss\":1.5,\"step\":2}"], File.ReadAllLines(path));
        File.AppendAllText(path, "{\"epoch\":0.3,\"gra"); // killed while writing
        folder.WriteLog(entries[..1]);
        Assert.Single(File.ReadAllLines(path));
    }

    [Fact]
    public void One_run_at_a_time_writes_there_and_a_left_lock_keeps_nobody_out()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "checkpoint-7.partial"));
        File.WriteAllText(Path.Combine(_folder, ".lock"), ""); // as kill -9 leaves it
        using (new RunFolder(_folder))
        {
            Directory.CreateDirectory(Path.Combine(_folder, "checkpoint-8.partial")); // the first run is saving
            Assert.Contains("another run is writing there", Assert.Throws<IOException>(() => new RunFolder(_folder)).Message, StringComparison.Ordinal);
            Assert.Equal([Path.Combine(_folder, "checkpoint-8.partial")], Directory.GetDirectories(_folder));
        }

        using (new RunFolder(_folder)) Assert.Empty(Directory.GetDirectories(_folder));
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
    }

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_folder)!, recursive: true);
}
