namespace GemmaCore.Checkpoints.Tests;

public sealed class AtomicFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Text_and_bytes_arrive_whole_in_folders_made_on_the_way()
    {
        AtomicFile.WriteAllText(_folder.File("a/b/text.json"), "é");
        Assert.Equal([0xC3, 0xA9], File.ReadAllBytes(_folder.File("a/b/text.json")));
        AtomicFile.WriteAllBytes(_folder.File("a/b/text.json"), new byte[] { 1 });
        Assert.Equal([1], File.ReadAllBytes(_folder.File("a/b/text.json")));
        Assert.Single(Directory.GetFiles(_folder.File("a/b")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_failure_leaves_the_old_file_and_nothing_else(bool diskFull)
    {
        string path = _folder.File("state.json");
        AtomicFile.WriteAllText(path, "old");
        Exception failure = diskFull ? new IOException("No space left on device") : new InvalidOperationException("bug");
        Exception? seen = Record.Exception(() => AtomicFile.Write(path, stream =>
        {
            stream.Write(new byte[3_000_000]);
            throw failure;
        }));
        Assert.Equal(diskFull ? $"{path}: could not be written: No space left on device" : "bug", seen?.Message);
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void What_a_killed_run_left_behind_is_overwritten()
    {
        File.WriteAllText(_folder.File(".state.json.tmp"), "half a file, much longer than the new one");
        AtomicFile.WriteAllText(_folder.File("state.json"), "new");
        Assert.Equal("new", File.ReadAllText(_folder.File("state.json")));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void A_second_writer_is_refused_and_the_first_one_finishes()
    {
        string path = _folder.File("state.json");
        AtomicFile.Write(path, stream =>
        {
            stream.Write("first"u8);
            Assert.Throws<IOException>(() => AtomicFile.WriteAllText(path, "second"));
        });
        Assert.Equal("first", File.ReadAllText(path));
    }

    [Fact]
    public void A_folder_in_the_place_of_the_file_is_reported()
    {
        Directory.CreateDirectory(_folder.File("taken/inside"));
        Assert.Contains("taken: could not be written", Assert.Throws<IOException>(() => AtomicFile.WriteAllText(_folder.File("taken"), "x")).Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }
}
