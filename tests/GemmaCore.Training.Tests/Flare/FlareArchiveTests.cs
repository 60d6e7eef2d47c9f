using System.IO.Compression;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.Flare;

namespace GemmaCore.Training.Tests.Flare;

public sealed class FlareArchiveTests : IDisposable
{
    private readonly FlareTree _tree = new();

    public void Dispose() => _tree.Dispose();

    private string Zip(params (string Name, byte[] Bytes)[] members)
    {
        string file = _tree.PathOf("images.zip");
        using ZipArchive zip = ZipFile.Open(file, ZipArchiveMode.Create);
        foreach ((string name, byte[] bytes) in members)
        {
            using Stream stream = zip.CreateEntry(name).Open();
            stream.Write(bytes);
        }

        return file;
    }

    private string Refused(string archive, long limit = FlareArchive.DefaultMaxBytes)
    {
        string message = Assert.Throws<DatasetException>(() => FlareArchive.Unpack(archive, _tree.PathOf("out"), limit)).Message;
        Assert.StartsWith(archive, message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_tree.PathOf("out")) && Directory.EnumerateFileSystemEntries(_tree.PathOf("out")).Any());
        Assert.False(Directory.Exists(_tree.PathOf("out.unpacking")));
        return message;
    }

    [Fact]
    public void Members_are_unpacked_once()
    {
        string archive = Zip(("imagesTr/a.jpg", FlareTree.PictureBytes()), ("imagesTr/deep/b.jpg", FlareTree.PictureBytes(1)));
        Assert.Equal(2, FlareArchive.Unpack(archive, _tree.PathOf("out")));
        Assert.Equal(FlareTree.PictureBytes(1), File.ReadAllBytes(_tree.PathOf("out/imagesTr/deep/b.jpg")));
        Assert.Equal(0, FlareArchive.Unpack(archive, _tree.PathOf("out")));
    }

    [Theory]
    [InlineData("../evil.jpg")]
    [InlineData("imagesTr/../../evil.jpg")]
    [InlineData("..\\evil.jpg")]
    [InlineData("/etc/evil.jpg")]
    [InlineData("C:\\evil.jpg")]
    public void A_member_that_leaves_the_folder_is_refused(string name)
    {
        Assert.Contains("outside its folder", Refused(Zip(("imagesTr/a.jpg", [1]), (name, [1]))), StringComparison.Ordinal);
        Assert.False(File.Exists(_tree.PathOf("evil.jpg")));
    }

    [Fact]
    public void A_link_is_refused()
    {
        string archive = Zip(("imagesTr/a.jpg", [1]));
        using (ZipArchive zip = ZipFile.Open(archive, ZipArchiveMode.Update)) zip.Entries[0].ExternalAttributes = unchecked((int)0xA1FF0000);
        Assert.Contains("is a link", Refused(archive), StringComparison.Ordinal);
    }

    [Fact]
    public void Too_much_is_refused_before_anything_is_unpacked() => Assert.Contains("more than 1000 bytes", Refused(Zip(("a.jpg", new byte[600]), ("b.jpg", new byte[600])), limit: 1000), StringComparison.Ordinal);

    [Fact]
    public void A_bomb_is_known_by_its_ratio() => Assert.Contains("which pictures cannot", Refused(Zip(("a.jpg", new byte[16 << 20]))), StringComparison.Ordinal);

    [Fact]
    public void Declared_sizes_are_not_believed()
    {
        byte[] noise = new byte[5000];
        new Random(1).NextBytes(noise);
        byte[] bytes = File.ReadAllBytes(Zip(("a.jpg", noise)));
        // The uncompressed size in the central directory (offset 24 of its record) says 100 bytes.
        int central = bytes.AsSpan().LastIndexOf("PK\u0001\u0002"u8);
        BitConverter.GetBytes(100).CopyTo(bytes, central + 24);
        File.WriteAllBytes(_tree.PathOf("images.zip"), bytes);
        Refused(_tree.PathOf("images.zip"));
    }

    [Theory]
    [InlineData(0.0)]
    [InlineData(0.3)]
    [InlineData(0.95)]
    public void A_truncated_archive_is_refused(double share)
    {
        byte[] whole = File.ReadAllBytes(Zip(("imagesTr/a.jpg", FlareTree.PictureBytes()), ("imagesTr/b.jpg", FlareTree.PictureBytes(1))));
        File.WriteAllBytes(_tree.PathOf("images.zip"), whole[..(int)(whole.Length * share)]);
        Assert.Contains("cut off", Refused(_tree.PathOf("images.zip")), StringComparison.Ordinal);
    }
}
