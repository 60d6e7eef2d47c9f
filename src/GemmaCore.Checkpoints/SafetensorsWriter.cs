using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints;

/// <summary>Writes safetensors files with the bytes the reference library would write: by type in its order, then by name; header padded to eight bytes.</summary>
public static partial class SafetensorsWriter
{
    private const string IndexName = "model.safetensors.index.json", SingleName = "model.safetensors";

    // The reference library's order of types, widest first; among equal widths it is arbitrary, but equal bytes need it.
    private static readonly DType[] TypeOrder = [DType.I64, DType.F32, DType.I32, DType.BF16, DType.F16, DType.I8, DType.U8];

    // The reference library escapes no more than JSON demands.
    private static readonly JsonSerializerOptions Plain = new()
    {
        WriteIndented = true, IndentSize = 2, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Writes one file.</summary>
    /// <exception cref="IOException">It cannot be written; nothing is left behind.</exception>
    public static void Write(string path, IReadOnlyList<WritableTensor> tensors) => Write(path, tensors, null);

    private static void Write(string path, IReadOnlyList<WritableTensor> tensors, Action<WritableTensor>? starting)
    {
        List<WritableTensor> ordered = [.. tensors.OrderBy(tensor => Array.IndexOf(TypeOrder, tensor.DType)).ThenBy(tensor => tensor.Name, StringComparer.Ordinal)];
        byte[] header = Header(ordered);
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
            stream.Write(length);
            stream.Write(header);
            foreach (WritableTensor tensor in ordered)
            {
                starting?.Invoke(tensor);
                long before = stream.Position;
                tensor.Write(stream);
                if (stream.Position - before != tensor.ByteCount)
                    throw new InvalidOperationException($"{tensor.Name}: {stream.Position - before} bytes were written, expected {tensor.ByteCount}");
            }
        });
    }

    /// <summary>Writes a checkpoint: one file, or shards with an index when it is larger than <paramref name="maxShardBytes"/>.</summary>
    /// <remarks>
    /// The weights of an older checkpoint in the folder go when the new ones stand. The index comes last: without it a folder of shards is
    /// no checkpoint, so a run killed in between leaves nothing that loads by mistake.
    /// </remarks>
    /// <param name="folder">Created if needed.</param>
    /// <param name="tensors">What to write, in the order of the shards.</param>
    /// <param name="maxShardBytes">Shards end before the tensor that would make them larger.</param>
    /// <param name="starting">Called before each tensor; what it throws stops the writing and is passed on, the shards written so far are removed.</param>
    /// <exception cref="IOException">A file cannot be written; the shards written so far are removed.</exception>
    public static void WriteCheckpoint(
        string folder, IReadOnlyList<WritableTensor> tensors, long maxShardBytes = 5_000_000_000, Action<WritableTensor>? starting = null)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        List<List<WritableTensor>> shards = Split(tensors, maxShardBytes);
        var written = new List<string>();
        try
        {
            var map = new SortedDictionary<string, string>(StringComparer.Ordinal);
            for (int i = 0; i < shards.Count; i++)
            {
                string name = shards.Count == 1
                    ? SingleName
                    : string.Create(CultureInfo.InvariantCulture, $"model-{i + 1:D5}-of-{shards.Count:D5}.safetensors");
                Write(Path.Combine(folder, name), shards[i], starting);
                written.Add(name);
                foreach (WritableTensor tensor in shards[i]) map.Add(tensor.Name, name);
            }

            if (shards.Count > 1)
            {
                AtomicFile.WriteAllText(Path.Combine(folder, IndexName), Index(tensors, map));
                written.Add(IndexName);
            }
        }
        catch
        {
            foreach (string name in written) File.Delete(Path.Combine(folder, name));
            throw;
        }

        foreach (string path in Directory.EnumerateFiles(folder))
            if (CheckpointFileName().IsMatch(Path.GetFileName(path)) && !written.Contains(Path.GetFileName(path))) File.Delete(path);
    }

    private static string Index(IReadOnlyList<WritableTensor> tensors, SortedDictionary<string, string> map)
    {
        var index = new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                ["total_parameters"] = tensors.Sum(tensor => tensor.Shape.ElementCount),
                ["total_size"] = tensors.Sum(tensor => tensor.ByteCount),
            },
            ["weight_map"] = new JsonObject(map.Select(item => KeyValuePair.Create(item.Key, (JsonNode?)item.Value))),
        };
        return index.ToJsonString(Plain) + "\n";
    }

    private static List<List<WritableTensor>> Split(IReadOnlyList<WritableTensor> tensors, long maxShardBytes)
    {
        List<List<WritableTensor>> shards = [[]];
        long bytes = 0;
        foreach (WritableTensor tensor in tensors)
        {
            if (bytes > 0 && bytes + tensor.ByteCount > maxShardBytes)
            {
                shards.Add([]);
                bytes = 0;
            }

            shards[^1].Add(tensor);
            bytes += tensor.ByteCount;
        }

        return shards;
    }

    private static byte[] Header(List<WritableTensor> tensors)
    {
        var text = new StringBuilder("{\"__metadata__\":{\"format\":\"pt\"}");
        var names = new HashSet<string>(StringComparer.Ordinal) { "__metadata__" };
        long position = 0;
        foreach (WritableTensor tensor in tensors)
        {
            if (!names.Add(tensor.Name)) throw new ArgumentException($"tensor name '{tensor.Name}' cannot be used twice", nameof(tensors));
            string sizes = string.Join(',', Enumerable.Range(0, tensor.Shape.Rank).Select(i => tensor.Shape[i]));
            text.Append(CultureInfo.InvariantCulture, $",{JsonSerializer.Serialize(tensor.Name, Plain)}:{{\"dtype\":\"{tensor.DType}\",\"shape\":[{sizes}],");
            text.Append(CultureInfo.InvariantCulture, $"\"data_offsets\":[{position},{position + tensor.ByteCount}]}}");
            position += tensor.ByteCount;
        }

        text.Append('}');
        int bytes = Encoding.UTF8.GetByteCount(text.ToString());
        return Encoding.UTF8.GetBytes(text.Append(' ', (8 - bytes % 8) % 8).ToString());
    }

    [GeneratedRegex(@"^model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$", RegexOptions.CultureInvariant)]
    private static partial Regex CheckpointFileName();
}
