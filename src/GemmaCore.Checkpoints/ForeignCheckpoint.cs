namespace GemmaCore.Checkpoints;

/// <summary>Weights in the formats of other programs, which are recognised to be refused by name.</summary>
public static class ForeignCheckpoint
{
    private const string Instead = "name the folder of the original model, with its safetensors";

    private static readonly (string[] Endings, string Complaint)[] Formats =
    [
        ([".gguf", ".ggml"], $"is llama.cpp's GGUF and is not read; {Instead}, and --quantize nf4 or int8"),
        ([".bin", ".bin.index.json", ".pt", ".pth", ".ckpt"], "is a Python pickle and is not read, since it can run code; save it again as safetensors"),
        ([".onnx"], $"is ONNX and is not read; {Instead}"),
        ([".h5", ".msgpack"], $"is TensorFlow's or Flax's and is not read; {Instead}"),
    ];

    /// <summary>Why a file, or what lies in a folder, is not read, and what to use instead; null when it is no known format of others.</summary>
    /// <param name="path">A file or folder that exists. A folder with safetensors is no foreign one, whatever lies beside them.</param>
    public static string? Complaint(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        string[] files = Directory.Exists(path) ? Directory.GetFiles(path) : [path];
        if (files.Any(file => file.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))) return null;
        foreach ((string[] endings, string complaint) in Formats)
            if (files.FirstOrDefault(file => endings.Any(ending => file.EndsWith(ending, StringComparison.OrdinalIgnoreCase))) is { } found) return $"{found} {complaint}";
        return null;
    }
}
