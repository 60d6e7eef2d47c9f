namespace GemmaCore.Testing;

/// <summary>Reproducible test values: SplitMix64 (Steele et al., OOPSLA 2014), independent of the platform's Random.</summary>
public sealed class Sample(ulong seed)
{
    private ulong _state = seed;

    public ulong NextBits()
    {
        ulong z = _state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>Uniform in [low, high), representable as float so that float code and double references see the same number.</summary>
    public float Uniform(float low = -1, float high = 1) => (float)(low + (high - low) * ((NextBits() >> 40) * (1.0 / (1 << 24))));

    public float[] Floats(int count, float low = -1, float high = 1)
    {
        var values = new float[count];
        for (int i = 0; i < count; i++) values[i] = Uniform(low, high);
        return values;
    }

    public int Below(int bound) => (int)(NextBits() % (ulong)bound);

    public static double[] Widen(float[] values) => Array.ConvertAll(values, v => (double)v);
}
