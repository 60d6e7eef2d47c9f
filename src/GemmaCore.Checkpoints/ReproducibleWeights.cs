using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Text;

namespace GemmaCore.Checkpoints;

/// <summary>
/// Random weights that any program in any language can make again: value i of tensor n under seed S depends on nothing else
/// (formula: spec/cli.md, <c>init</c>; SplitMix64 of Steele, Lea and Flood over an FNV-1a hash of the name).
/// </summary>
public static class ReproducibleWeights
{
    private const ulong Golden = 0x9E3779B97F4A7C15, FirstFactor = 0xBF58476D1CE4E5B9, SecondFactor = 0x94D049BB133111EB;
    private const double Step = 1.0 / (1 << 24);

    /// <summary>Fills <paramref name="values"/> with (2u − 1)·a + b, rounded to f32.</summary>
    /// <param name="name">Tensor name in the first-generation spelling.</param>
    /// <param name="seed">Seed.</param>
    /// <param name="a">Half the width of the interval.</param>
    /// <param name="b">Its centre.</param>
    /// <param name="start">Flat index of the first value.</param>
    /// <param name="values">Destination.</param>
    public static void Fill(string name, ulong seed, double a, double b, long start, Span<float> values)
    {
        ulong origin = (Hash(name) ^ unchecked(seed * Golden)) + unchecked((ulong)start * Golden);
        int i = Avx512F.IsSupported ? FillVectors(origin, a, b, values) : 0;
        for (; i < values.Length; i++) values[i] = (float)((2 * Uniform(origin, (ulong)i) - 1) * a + b);
    }

    /// <summary>u in [0, 1) of one flat index.</summary>
    public static double Uniform(string name, ulong seed, long index) => Uniform(Hash(name) ^ unchecked(seed * Golden), (ulong)index);

    /// <summary>Half-width and centre for a tensor of a checkpoint.</summary>
    /// <param name="name">First-generation name.</param>
    /// <param name="sizes">Its sizes.</param>
    /// <param name="llama">True for the LLaMA family, whose norms store their gain whole.</param>
    public static (double A, double B) IntervalOf(string name, IReadOnlyList<int> sizes, bool llama)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(sizes);
        bool Has(string part) => name.Contains(part, StringComparison.Ordinal);
        if (name.EndsWith(".bias", StringComparison.Ordinal)) return (0.02, 0);
        if (Has("layer_norm1") || Has("layer_norm2") || Has("post_layernorm") || Has("pre_layrnorm")) return (0.1, 1);
        if (Has("norm")) return (0.1, llama ? 1 : 0);
        if (Has("embed_tokens") || Has("position_embedding") || Has("class_embedding")) return (0.02 * Math.Sqrt(3), 0);
        if (Has("mm_input_projection_weight")) return (Math.Sqrt(3.0 / sizes[0]), 0);
        return (Math.Sqrt(3.0 / sizes.Skip(1).Aggregate(1L, (product, size) => product * size)), 0);
    }

    // Eight values at a time, lane by lane the same operations as the scalar formula; the tail is left to it. Returns the values filled.
    private static int FillVectors(ulong origin, double a, double b, Span<float> values)
    {
        Vector512<ulong> index = Vector512<ulong>.Indices + Vector512.Create(1UL);
        Vector512<ulong> state = Vector512.Create(origin) + index * Golden;
        Vector512<ulong> advance = Vector512.Create(unchecked(8 * Golden));
        Vector512<double> width = Vector512.Create(a), centre = Vector512.Create(b);
        int i = 0;
        for (; i <= values.Length - 8; i += 8, state += advance)
        {
            Vector512<ulong> z = (state ^ (state >> 30)) * FirstFactor;
            z = (z ^ (z >> 27)) * SecondFactor;
            z ^= z >> 31;
            Vector512<double> u = Vector512.ConvertToDouble(z >> 40) * Step;
            // Two roundings, not a fused one: the formula is plain double arithmetic.
            Vector512<double> value = (u * 2 - Vector512<double>.One) * width + centre;
            Vector512.Narrow(value, value).GetLower().CopyTo(values[i..]);
        }

        return i;
    }

    private static double Uniform(ulong origin, ulong index)
    {
        unchecked
        {
            ulong z = origin + (index + 1) * Golden;
            z = (z ^ (z >> 30)) * FirstFactor;
            z = (z ^ (z >> 27)) * SecondFactor;
            z ^= z >> 31;
            return (z >> 40) * Step;
        }
    }

    private static ulong Hash(string name)
    {
        ulong hash = 0xCBF29CE484222325;
        foreach (byte b in Encoding.UTF8.GetBytes(name)) hash = unchecked((hash ^ b) * 0x100000001B3);
        return hash;
    }
}
