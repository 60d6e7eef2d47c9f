using System.Buffers.Binary;
using System.Text;
using GemmaCore.Checkpoints;
using GemmaCore.Tensors;

namespace GemmaCore.Testing.Fuzz;

/// <summary>Damages safetensors headers, their length field and the file length; only <see cref="CheckpointException"/> may come out.</summary>
public static class SafetensorsFuzz
{
    private const int DataBytes = 124;

    private static readonly byte[] Seed = Encoding.UTF8.GetBytes(
        """
        {"__metadata__":{"format":"pt"},"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[5],"data_offsets":[24,34]},
        "empty":{"dtype":"F16","shape":[0,7],"data_offsets":[34,34]},"q":{"dtype":"U8","shape":[2,1,3,5],"data_offsets":[34,64]},
        "scalar":{"dtype":"I64","shape":[],"data_offsets":[64,72]},"i":{"dtype":"I32","shape":[1,3],"data_offsets":[72,84]},
        "other":{"dtype":"F64","shape":[2,2],"data_offsets":[84,116]},"t":{"dtype":"I8","shape":[1,1,2,2,2],"data_offsets":[116,124]}}
        """);

    /// <summary>Tries <paramref name="iterations"/> damaged headers in memory, always the same ones for one <paramref name="seed"/>.</summary>
    public static FuzzCount Run(long iterations, int seed)
    {
        var damage = new JsonDamage(seed, "\"F32\"", "\"F64\"", "\"b\"", "\"__metadata__\"", "[0,24]", "[24,0]", "[34,64]", "[5]");
        long accepted = 0;
        Span<byte> lengthField = stackalloc byte[8];
        for (long i = 0; i < iterations; i++)
        {
            byte[] json = damage.Random.Next(64) == 0 ? Seed : damage.Damage(Seed);
            long fileLength = 8 + json.Length + (damage.Random.Next(4) == 0 ? damage.Random.Next(-DataBytes, DataBytes) : 0) + DataBytes;
            ulong claimed = damage.Random.Next(16) == 0 ? (ulong)damage.Random.NextInt64() >> damage.Random.Next(64) : (ulong)json.Length;
            BinaryPrimitives.WriteUInt64LittleEndian(lengthField, claimed);
            try
            {
                int length = SafetensorsHeader.HeaderLength(lengthField, fileLength, "fuzz");
                if (length > json.Length) continue; // a real file would have the bytes; this one is not there to be read
                SafetensorsHeader header = SafetensorsHeader.Parse(json.AsMemory(0, length), fileLength, "fuzz");
                Verify(header, fileLength);
                accepted++;
            }
            catch (CheckpointException refusal)
            {
                if (refusal.Message.Any(char.IsControl)) throw new InvalidOperationException("the message is more than one line", refusal);
            }
        }

        return new FuzzCount(iterations, accepted);
    }

    // What the reader relies on afterwards: tensors lie within the file, do not overlap, and are as long as type and sizes say.
    private static void Verify(SafetensorsHeader header, long fileLength)
    {
        long end = 0, data = fileLength - header.DataStart;
        foreach (StoredTensor tensor in header.Tensors.Values.OrderBy(tensor => tensor.Begin).ThenBy(tensor => tensor.End))
        {
            bool sized = tensor.DType is not { } dtype || tensor.ElementCount * dtype.Size() == tensor.End - tensor.Begin;
            if (tensor.Begin != end || tensor.End < tensor.Begin || tensor.End > data || !sized)
                throw new InvalidOperationException($"an unsound header was accepted: {tensor} in {fileLength} bytes");
            end = tensor.End;
        }

        if (end != data) throw new InvalidOperationException($"{data - end} bytes belong to no tensor");
    }
}
