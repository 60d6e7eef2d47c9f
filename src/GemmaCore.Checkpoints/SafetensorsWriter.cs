using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints;

/// <summary>A tensor to be written; its bytes are produced when their turn comes, so a model larger than memory can be written.</summary>
/// <param name="Name">Name in the file.</param>
/// <param name="DType">Element type.</param>
/// <param name="Shape">Sizes.</param>
/// <param name="Write">Writes exactly the tensor's bytes.</param>
public sealed record WritableTensor(string Name, DType DType, Shape Shape, Action<Stream> Write)
{
    /// <summary>Bytes of the tensor.</summary>
    public long ByteCount => Shape.ElementCount * DType.Size();
}

/// <summary>Writes safetensors files with the bytes the reference library would write: widest types first, then by name; header padded to eight bytes.</summary>
public static class SafetensorsWriter
{
    /// <summary>Writes one file.</summary>
    public static void Write(string path, IReadOnlyList<WritableTensor> tensors)
    {
        List<WritableTensor> ordered = [.. tensors.OrderByDescending(tensor => tensor.DType.Size()).ThenBy(tensor => tensor.Name, StringComparer.Ordinal)];
        byte[] header = Header(ordered);
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
            stream.Write(length);
            stream.Write(header);
            foreach (WritableTensor tensor in ordered)
            {
                long before = stream.Position;
                tensor.Write(stream);
                if (stream.Position - before != tensor.ByteCount)
                    throw new InvalidOperationException($"{tensor.Name}: {stream.Position - before} bytes were written, expected {tensor.ByteCount}");
            }
        });
    }

    /// <summary>Writes a checkpoint: one file, or shards with an index when it is larger than <paramref name="maxShardBytes"/>.</summary>
    public static void WriteCheckpoint(string folder, IReadOnlyList<WritableTensor> tensors, long maxShardBytes = 5_000_000_000)
    {
        List<List<WritableTensor>> shards = Split(tensors, maxShardBytes);
        if (shards.Count == 1)
        {
            Write(Path.Combine(folder, "model.safetensors"), shards[0]);
            return;
        }

        var map = new JsonObject();
        for (int i = 0; i < shards.Count; i++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"model-{i + 1:D5}-of-{shards.Count:D5}.safetensors");
            Write(Path.Combine(folder, name), shards[i]);
            foreach (WritableTensor tensor in shards[i].OrderBy(tensor => tensor.Name, StringComparer.Ordinal)) map[tensor.Name] = name;
        }

        var index = new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = tensors.Sum(tensor => tensor.ByteCount) }, ["weight_map"] = map };
        AtomicFile.WriteAllText(
            Path.Combine(folder, "model.safetensors.index.json"), index.ToJsonString(new JsonSerializerOptions { WriteIndented = true, IndentSize = 2 }) + "\n");
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
        long position = 0;
        foreach (WritableTensor tensor in tensors)
        {
            int rank = tensor.Shape.Rank;
            string sizes = string.Join(',', Enumerable.Range(0, rank).Select(i => tensor.Shape[i]));
            text.Append(CultureInfo.InvariantCulture, $",{JsonSerializer.Serialize(tensor.Name)}:{{\"dtype\":\"{tensor.DType}\",\"shape\":[{sizes}],");
            text.Append(CultureInfo.InvariantCulture, $"\"data_offsets\":[{position},{position + tensor.ByteCount}]}}");
            position += tensor.ByteCount;
        }

        text.Append('}');
        while (Encoding.UTF8.GetByteCount(text.ToString()) % 8 != 0) text.Append(' ');
        return Encoding.UTF8.GetBytes(text.ToString());
    }
}
