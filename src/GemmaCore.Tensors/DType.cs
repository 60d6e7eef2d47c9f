namespace GemmaCore.Tensors;

/// <summary>Element type of a tensor in memory or in a checkpoint.</summary>
public enum DType
{
    /// <summary>IEEE binary32.</summary>
    F32,

    /// <summary>IEEE binary16.</summary>
    F16,

    /// <summary>bfloat16: the upper half of a binary32.</summary>
    BF16,

    /// <summary>Signed 8-bit integer.</summary>
    I8,

    /// <summary>Unsigned 8-bit integer (also packed 4-bit codes and serialised JSON).</summary>
    U8,

    /// <summary>Signed 32-bit integer (token ids, positions, mask bounds).</summary>
    I32,

    /// <summary>Signed 64-bit integer; read from files only, no operation computes with it.</summary>
    I64,
}

/// <summary>Facts about <see cref="DType"/> values.</summary>
public static class DTypeFacts
{
    /// <summary>Bytes of one element.</summary>
    public static int Size(this DType dtype) => dtype switch
    {
        DType.F32 or DType.I32 => 4,
        DType.F16 or DType.BF16 => 2,
        DType.I8 or DType.U8 => 1,
        DType.I64 => 8,
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "unknown dtype"),
    };

    /// <summary>True for the types in which weights may be stored and activations computed.</summary>
    public static bool IsFloat(this DType dtype) => dtype is DType.F32 or DType.F16 or DType.BF16;
}
