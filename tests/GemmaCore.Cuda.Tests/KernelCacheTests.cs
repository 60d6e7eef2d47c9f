namespace GemmaCore.Cuda.Tests;

public sealed class KernelCacheTests : IDisposable
{
    private static readonly byte[] Image = [1, 2, 3, 4, 5];

    private readonly string _folder = Directory.CreateTempSubdirectory("kernel-cache").FullName;
    private readonly List<string> _warnings = [];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_was_stored_is_found_again()
    {
        new KernelCache(_folder).Store("key", Image);
        Assert.Equal(Image, new KernelCache(_folder).Find("key"));
        Assert.Null(new KernelCache(_folder).Find("other"));
    }

    [Fact]
    public void An_entry_with_any_byte_changed_or_cut_anywhere_is_none()
    {
        var cache = new KernelCache(_folder);
        cache.Store("key", Image);
        string path = Directory.GetFiles(_folder).Single();
        byte[] whole = File.ReadAllBytes(path);
        for (int i = 0; i < whole.Length; i++)
        {
            byte[] changed = [.. whole];
            changed[i] ^= 1;
            File.WriteAllBytes(path, changed);
            Assert.Null(cache.Find("key"));
            File.WriteAllBytes(path, whole[..i]);
            Assert.Null(cache.Find("key"));
        }

        cache.Store("key", Image);
        Assert.Equal(Image, cache.Find("key"));
    }

    [Fact]
    public void An_entry_under_another_kernels_name_is_none()
    {
        var cache = new KernelCache(_folder);
        cache.Store("one", Image);
        string path = Directory.GetFiles(_folder).Single();
        File.Copy(path, path.Replace("one", "other", StringComparison.Ordinal));
        Assert.Null(cache.Find("other"));
        Assert.Equal(Image, cache.Find("one"));
    }

    [Fact]
    public void A_full_disk_costs_one_warning_and_leaves_no_part_of_a_file()
    {
        var cache = new KernelCache(_folder, _warnings.Add) { Create = path => new FullDisk(path) };
        for (int i = 0; i < 3; i++) cache.Store($"key{i}", Image);
        string warning = Assert.Single(_warnings);
        Assert.Contains("No space left", warning, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', warning);
        Assert.Empty(Directory.GetFiles(_folder));
        Assert.Contains("No space left", cache.TryWrite(), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public void A_folder_that_cannot_be_made_costs_one_warning()
    {
        string file = Path.Combine(_folder, "file");
        File.WriteAllText(file, "");
        var cache = new KernelCache(Path.Combine(file, "cache"), _warnings.Add);
        for (int i = 0; i < 3; i++) cache.Store($"key{i}", Image);
        Assert.Contains($"{file} is a file where a folder should be; kernels are compiled anew", Assert.Single(_warnings), StringComparison.Ordinal);
        Assert.Null(cache.Find("key0"));
        Assert.Equal($"{file} is a file where a folder should be", cache.TryWrite());
        Assert.Equal($"{file} is a file where a folder should be", new KernelCache(file).TryWrite());
    }

    [Fact]
    public void Asking_whether_it_can_be_written_leaves_nothing()
    {
        Assert.Null(new KernelCache(Path.Combine(_folder, "not", "yet")).TryWrite());
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
        Assert.NotNull(new KernelCache(null).TryWrite());
    }

    // Takes a few bytes, then no more.
    private sealed class FullDisk(string path) : FileStream(path, FileMode.CreateNew)
    {
        private int _written;

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if ((_written += buffer.Length) > 4) throw new IOException("No space left on device");
            base.Write(buffer);
        }
    }
}
