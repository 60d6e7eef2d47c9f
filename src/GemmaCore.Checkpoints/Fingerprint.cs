using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace GemmaCore.Checkpoints;

/// <summary>
/// Names a base model in a run's passport: SHA-256 over <c>config.json</c> and, in the order of canonical names, each tensor's name, type, sizes and
/// bytes. Shards and naming generations do not change it. Tensors above 64 KiB count with sixteen evenly spaced blocks of 4 KiB, the first and
/// the last among them, so that an 8.6 GB model takes a moment instead of a minute: every trained tensor differs everywhere, so this tells models
/// apart; it is no proof against tampering between the blocks.
/// </summary>
internal static class Fingerprint
{
    private const int BlockBytes = 4096, BlockCount = 16;

    /// <summary>E.g. <c>sha256:9f86d0…</c>.</summary>
    public static string Of(string folder, IEnumerable<(string CanonicalName, SafetensorsFile File, StoredTensor Tensor)> tensors)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        string config = Path.Combine(folder, "config.json");
        if (File.Exists(config)) Append(hash, File.ReadAllBytes(config));
        foreach ((string name, SafetensorsFile file, StoredTensor tensor) in tensors.OrderBy(item => item.CanonicalName, StringComparer.Ordinal))
        {
            Append(hash, Encoding.UTF8.GetBytes($"{name} {tensor.StoredType} {tensor.ShapeText}"));
            long bytes = tensor.End - tensor.Begin;
            if (bytes <= BlockBytes * BlockCount)
            {
                hash.AppendData(file.Bytes(tensor, 0, (int)bytes));
                continue;
            }

            for (int block = 0; block < BlockCount; block++)
                hash.AppendData(file.Bytes(tensor, (bytes - BlockBytes) * block / (BlockCount - 1), BlockBytes));
        }

        return "sha256:" + Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    // Lengths go in too, so that no two sequences of parts hash alike.
    private static void Append(IncrementalHash hash, ReadOnlySpan<byte> part)
    {
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, part.Length);
        hash.AppendData(length);
        hash.AppendData(part);
    }
}
