using System.Numerics;
using System.Runtime.CompilerServices;

namespace GemmaCore.Ops;

/// <summary>
/// Loads, stores and reductions of one row of floats in the machine's preferred vector width. Memory-bound operations are written once
/// with <see cref="Vector{T}"/> (256 bits with AVX2, 128 without, scalar where there is neither) and a scalar tail.
/// </summary>
internal static unsafe class Lanes
{
    /// <summary>Floats in one vector.</summary>
    public static int Width
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector<float>.Count;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Load(float* source) => Unsafe.ReadUnaligned<Vector<float>>(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector<float> value, float* destination) => Unsafe.WriteUnaligned(destination, value);

    /// <summary>The first <paramref name="count"/> lanes from memory, the rest zero: a tail, for functions that have no scalar form.</summary>
    public static Vector<float> LoadFirst(float* source, int count)
    {
        Vector<float> lanes = Vector<float>.Zero;
        Unsafe.CopyBlockUnaligned(&lanes, source, (uint)count * sizeof(float));
        return lanes;
    }

    /// <summary>Writes the first <paramref name="count"/> lanes.</summary>
    public static void StoreFirst(Vector<float> value, float* destination, int count) =>
        Unsafe.CopyBlockUnaligned(destination, &value, (uint)count * sizeof(float));

    /// <summary>Σ a·b. Four running sums hide the latency of the fused multiply-add; their order is fixed.</summary>
    public static float Dot(float* a, float* b, int count)
    {
        Vector<float> s0 = Vector<float>.Zero, s1 = s0, s2 = s0, s3 = s0;
        int w = Width, i = 0;
        for (; i <= count - 4 * w; i += 4 * w)
        {
            s0 = Vector.FusedMultiplyAdd(Load(a + i), Load(b + i), s0);
            s1 = Vector.FusedMultiplyAdd(Load(a + i + w), Load(b + i + w), s1);
            s2 = Vector.FusedMultiplyAdd(Load(a + i + 2 * w), Load(b + i + 2 * w), s2);
            s3 = Vector.FusedMultiplyAdd(Load(a + i + 3 * w), Load(b + i + 3 * w), s3);
        }

        for (; i <= count - w; i += w) s0 = Vector.FusedMultiplyAdd(Load(a + i), Load(b + i), s0);
        float sum = Vector.Sum(s0 + s1 + (s2 + s3));
        for (; i < count; i++) sum += a[i] * b[i];
        return sum;
    }
}
