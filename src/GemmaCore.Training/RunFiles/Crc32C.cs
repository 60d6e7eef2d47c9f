using System.Numerics;

namespace GemmaCore.Training.RunFiles;

/// <summary>CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4), the checksum of TFRecord files.</summary>
public static class Crc32C
{
    /// <summary>The checksum of some bytes.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes) crc = BitOperations.Crc32C(crc, value);
        return ~crc;
    }

    /// <summary>The checksum as TFRecord stores it: rotated right by 15 bits, plus a constant, so that checksums of checksums stay well spread.</summary>
    public static uint Masked(ReadOnlySpan<byte> bytes) => BitOperations.RotateRight(Of(bytes), 15) + 0xA282EAD8;
}
