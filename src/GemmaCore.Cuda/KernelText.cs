using System.Text.RegularExpressions;

namespace GemmaCore.Cuda;

/// <summary>The text of one file under <c>kernels/</c> and of the headers that it includes, itself or through another.</summary>
/// <param name="File">E.g. <c>rms_norm.cu</c>.</param>
/// <param name="Text">Its text.</param>
/// <param name="Headers">Names and texts, in the order in which they are met.</param>
internal sealed partial record KernelText(string File, string Text, IReadOnlyList<(string Name, string Text)> Headers)
{
    /// <summary>Folder of the kernels' text.</summary>
    public static string Folder => Path.Combine(AppContext.BaseDirectory, "kernels");

    /// <summary>Reads a file and what it includes.</summary>
    /// <exception cref="CudaException">One of them is not there.</exception>
    public static KernelText Read(string file)
    {
        var headers = new List<(string Name, string Text)>();
        string text = ReadFile(file);
        Follow(text);
        return new KernelText(file, text, headers);

        void Follow(string from)
        {
            foreach (Match include in Include().Matches(from))
            {
                string name = include.Groups[1].Value;
                if (headers.Exists(one => one.Name == name)) continue;
                string header = ReadFile(name);
                headers.Add((name, header));
                Follow(header);
            }
        }
    }

    /// <summary>All of it in one string, which decides with the options what is compiled.</summary>
    public override string ToString() => $"{string.Join('\0', Headers.Select(one => one.Text))}\0{Text}";

    private static string ReadFile(string name)
    {
        string path = Path.Combine(Folder, name);
        return System.IO.File.Exists(path) ? System.IO.File.ReadAllText(path) : throw new CudaException($"kernel text {path} is missing; the installation is incomplete");
    }

    // The simulator's headers are in folders, which no header of ours is.
    [GeneratedRegex("""^#include "(\w+\.cuh)"\r?$""", RegexOptions.Multiline)]
    private static partial Regex Include();
}
