namespace GemmaCore.Tensors;

/// <summary>Conversions between bfloat16 bits and binary32.</summary>
public static class BFloat16
{
    /// <summary>Exact widening.</summary>
    public static float ToSingle(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>Rounding to nearest, ties to even; NaN stays NaN (quietened).</summary>
    public static ushort FromSingle(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value)) return (ushort)((bits >> 16) | 0x40);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }
}
