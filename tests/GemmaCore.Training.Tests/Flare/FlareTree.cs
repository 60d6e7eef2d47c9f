using GemmaCore.Testing;

namespace GemmaCore.Training.Tests.Flare;

/// <summary>A small FLARE folder in the spelling of the real one, with phantoms for pictures.</summary>
internal sealed class FlareTree : IDisposable
{
    private static readonly string Cells = Goldens.DemoPath("data/training/Microscopy/phantom_cells/imagesTr");

    public string Root { get; } = Directory.CreateTempSubdirectory("gemmacore-flaretree-").FullName;

    public void Dispose() => Directory.Delete(Root, recursive: true);

    public string PathOf(string name) => Path.Combine(Root, name);

    public string Write(string name, string text)
    {
        string file = PathOf(name);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
        return file;
    }

    /// <summary>Copies a phantom; one number is one content.</summary>
    public string Picture(string name, int phantom = 0)
    {
        string file = PathOf(name);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.Copy(Directory.EnumerateFiles(Cells).Order(StringComparer.Ordinal).ElementAt(phantom), file);
        return file;
    }

    /// <summary>The picture's bytes.</summary>
    public static byte[] PictureBytes(int phantom = 0) => File.ReadAllBytes(Directory.EnumerateFiles(Cells).Order(StringComparer.Ordinal).ElementAt(phantom));
}
