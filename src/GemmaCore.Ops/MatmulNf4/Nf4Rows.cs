using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GemmaCore.Ops;

/// <summary>Reads an <see cref="Nf4Matrix"/> in host memory.</summary>
internal readonly unsafe struct Nf4Rows : IWeightRows
{
    private readonly byte* _codes, _nestedCodes;
    private readonly float* _absmax, _scales, _table;
    private readonly float _offset;

    public Nf4Rows(Nf4Matrix w)
    {
        Columns = w.Shape[1];
        _codes = (byte*)w.Codes.Pointer;
        if (w.Absmax.IsNested)
        {
            _nestedCodes = (byte*)w.Absmax.Values.Pointer;
            _scales = w.Absmax.Scales.Floats;
            _table = w.Absmax.CodeTable.Floats;
            _offset = w.Absmax.Offset;
        }
        else _absmax = w.Absmax.Values.Floats;
    }

    public int Columns { get; }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private float AbsmaxOf(long block) => _absmax != null
        ? Unsafe.ReadUnaligned<float>(_absmax + block)
        : Unsafe.ReadUnaligned<float>(_table + _nestedCodes[block]) * Unsafe.ReadUnaligned<float>(_scales + block / Nf4.NestedBlockSize) + _offset;

    public void Read(int row, int first, int count, float* target)
    {
        long at = (long)row * Columns + first, end = at + count;
        while (at < end)
        {
            long block = at / Nf4.BlockSize;
            int here = (int)(Math.Min(end, (block + 1) * Nf4.BlockSize) - at);
            ReadWithin(at, here, AbsmaxOf(block), target);
            at += here;
            target += here;
        }
    }

    // Elements of one block.
    private void ReadWithin(long at, int count, float absmax, float* target)
    {
        int i = 0;
        if (Avx2.IsSupported)
        {
            if (at % 2 == 1 && count > 0) target[i++] = Element(at, absmax);
            for (; i <= count - 16; i += 16) Read16(_codes + (at + i) / 2, absmax, target + i);
        }

        for (; i < count; i++) target[i] = Element(at + i, absmax);
    }

    private float Element(long at, float absmax) => Nf4.Values[at % 2 == 0 ? _codes[at / 2] >> 4 : _codes[at / 2] & 15] * absmax;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Read16(byte* codes, float absmax, float* target)
    {
        // Each byte becomes two, upper half first.
        Vector128<ushort> pairs = Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(codes)).AsByte());
        Vector128<byte> indices = ((pairs >>> 4) | ((pairs & Vector128.Create((ushort)15)) << 8)).AsByte();
        if (Avx512F.IsSupported)
        {
            (Nf4Lookup.Of(Nf4Lookup.Table512, Avx512F.ConvertToVector512Int32(indices)) * absmax).Store(target);
            return;
        }

        (Nf4Lookup.Of(Nf4Lookup.Low, Nf4Lookup.High, Avx2.ConvertToVector256Int32(indices)) * absmax).Store(target);
        (Nf4Lookup.Of(Nf4Lookup.Low, Nf4Lookup.High, Avx2.ConvertToVector256Int32(Sse2.ShiftRightLogical128BitLane(indices, 8))) * absmax).Store(target + 8);
    }
}

/// <summary>The values of NF4 codes in vectors; only the lowest four bits of an index count.</summary>
internal static class Nf4Lookup
{
    /// <summary>What <see cref="Of(Vector512{float}, Vector512{int})"/> looks up in; loops keep it in a register.</summary>
    public static Vector512<float> Table512 => Vector512.Create(Nf4.Values.AsSpan());

    /// <summary>The values of the lower eight codes.</summary>
    public static Vector256<float> Low => Vector256.Create(Nf4.Values.AsSpan());

    /// <summary>The values of the upper eight codes.</summary>
    public static Vector256<float> High => Vector256.Create(Nf4.Values.AsSpan()[8..]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<float> table, Vector512<int> codes) => Avx512F.PermuteVar16x32(table, codes);

    // The fourth bit chooses.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Of(Vector256<float> low, Vector256<float> high, Vector256<int> codes) =>
        Avx.BlendVariable(Avx2.PermuteVar8x32(low, codes), Avx2.PermuteVar8x32(high, codes), (codes << 28).AsSingle());
}
