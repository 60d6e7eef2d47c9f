using System.Runtime.CompilerServices;

namespace GemmaCore.Ops;

/// <summary>Magnitudes of an <see cref="Nf4Matrix"/>'s blocks in host memory; a type for each form, so that the form is no question in inner loops.</summary>
internal interface INf4Magnitudes
{
    /// <summary>Magnitude of a block, counted over the whole matrix.</summary>
    float Of(long block);
}

/// <summary>Magnitudes in f32.</summary>
internal readonly unsafe struct PlainMagnitudes(Nf4Absmax absmax) : INf4Magnitudes
{
    private readonly float* _values = absmax.Values.Floats;

    // Mapped files need not align their tensors.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Of(long block) => Unsafe.ReadUnaligned<float>(_values + block);
}

/// <summary>Magnitudes that are quantised themselves.</summary>
internal readonly unsafe struct NestedMagnitudes(Nf4Absmax absmax) : INf4Magnitudes
{
    private readonly byte* _codes = (byte*)absmax.Values.Pointer;
    private readonly float* _scales = absmax.Scales.Floats, _table = absmax.CodeTable.Floats;
    private readonly float _offset = absmax.Offset;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Of(long block) =>
        Unsafe.ReadUnaligned<float>(_table + _codes[block]) * Unsafe.ReadUnaligned<float>(_scales + (ulong)block / Nf4.NestedBlockSize) + _offset;
}
