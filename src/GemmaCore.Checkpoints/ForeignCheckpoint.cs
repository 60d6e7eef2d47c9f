namespace GemmaCore.Checkpoints;

/// <summary>Checkpoints in the formats of other programs, which are recognised to be refused by name.</summary>
public static class ForeignCheckpoint
{
    private const string Instead = "name the folder of the original model, with its safetensors";

    private static readonly (string[] Endings, string Complaint)[] Formats =
    [
        ([".gguf", ".ggml"], $"GGUF is llama.cpp's format and is not read; {Instead}, and --quantize nf4 or int8"),
        ([".bin", ".bin.index.json", ".pt", ".pth", ".ckpt"], "PyTorch's Python pickles are not read, since they can run code; download or save the model as safetensors"),
        ([".onnx"], $"ONNX is not read; {Instead}"),
        ([".h5", ".msgpack"], $"TensorFlow's and Flax's files are not read; {Instead}"),
    ];

    /// <summary>Why a file, or what lies in a folder, is not read, and what to use instead; null when it is no known format of others.</summary>
    /// <param name="path">A file or folder that exists. A folder with safetensors is no foreign one, whatever lies beside them.</param>
    public static string? Complaint(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        string[] files = Directory.Exists(path) ? Directory.GetFiles(path) : [path];
        if (files.Any(file => file.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase))) return null;
        foreach ((string[] endings, string complaint) in Formats)
            if (files.FirstOrDefault(file => endings.Any(ending => file.EndsWith(ending, StringComparison.OrdinalIgnoreCase))) is { } found) return $"{found}: {complaint}";
        return null;
    }
}
