using System.Numerics;
using System.Runtime.InteropServices;
using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints;

/// <summary>Looks for NaN and infinity in weights at memory speed.</summary>
public static class FiniteCheck
{
    // Elements one task looks at: large enough to hide its start, small enough to share out.
    private const int ChunkElements = 1 << 20;

    /// <summary>Flat index of the first NaN or infinity, or -1 when every element is finite. CPU only; F32, F16 and BF16.</summary>
    public static long FirstNonFinite(TensorView view)
    {
        if (!view.DType.IsFloat()) throw new ArgumentException($"{view} holds no floating-point numbers", nameof(view));
        long count = view.Shape.ElementCount, first = long.MaxValue;
        Parallel.For(0, (int)((count + ChunkElements - 1) / ChunkElements), chunk =>
        {
            long start = (long)chunk * ChunkElements;
            int length = (int)Math.Min(ChunkElements, count - start);
            var part = new TensorView(view.Pointer + (nint)(start * view.DType.Size()), new Shape(length), view.DType, view.Device);
            int found = First(part);
            if (found < 0) return;
            long index = start + found;
            for (long seen = Interlocked.Read(ref first); index < seen; seen = Interlocked.Read(ref first))
                if (Interlocked.CompareExchange(ref first, index, seen) == seen) return;
        });
        return first == long.MaxValue ? -1 : first;
    }

    // A number is not finite exactly when its exponent bits are all ones.
    private static int First(TensorView part) => part.DType switch
    {
        DType.F32 => First(MemoryMarshal.Cast<float, uint>(part.AsSpan<float>()), 0x7F80_0000u),
        DType.F16 => First<ushort>(part.AsSpan<ushort>(), 0x7C00),
        _ => First<ushort>(part.AsSpan<ushort>(), 0x7F80),
    };

    private static int First<T>(ReadOnlySpan<T> bits, T exponent) where T : unmanaged, IBinaryInteger<T>
    {
        var mask = new Vector<T>(exponent);
        int i = 0;
        for (; i <= bits.Length - Vector<T>.Count; i += Vector<T>.Count)
            if (Vector.EqualsAny(new Vector<T>(bits[i..]) & mask, mask)) break;
        for (; i < bits.Length; i++)
            if ((bits[i] & exponent) == exponent) return i;
        return -1;
    }
}
