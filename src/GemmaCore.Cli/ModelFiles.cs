using GemmaCore.Checkpoints;

namespace GemmaCore.Cli;

/// <summary>The files of a model folder beside weights and configuration: tokenizer, template, preprocessing, generation defaults.</summary>
internal static class ModelFiles
{
    /// <summary>Copies them to another folder.</summary>
    public static void CopyBeside(string source, string destination)
    {
        foreach (string file in Directory.EnumerateFiles(source))
        {
            string name = Path.GetFileName(file);
            bool weights = name.EndsWith(".safetensors", StringComparison.Ordinal) || name.EndsWith(".index.json", StringComparison.Ordinal)
                || name.EndsWith(".bin", StringComparison.Ordinal);
            if (!weights && name != "config.json") AtomicFile.WriteAllBytes(Path.Combine(destination, name), File.ReadAllBytes(file));
        }
    }
}
