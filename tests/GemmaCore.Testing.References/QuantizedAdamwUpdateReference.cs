namespace GemmaCore.Testing.References;

/// <summary>AdamW with 8-bit moments in double: arXiv:1711.05101 between the widening and the rounding of arXiv:2110.02861 §2.</summary>
public sealed class QuantizedAdamwUpdateReference
{
    private const int BlockSize = 256;

    private readonly IReadOnlyList<float> _signed, _unsigned;
    private readonly double[] _m, _v;

    /// <summary>A reference that goes on from stored moments.</summary>
    public QuantizedAdamwUpdateReference(
        (byte[] Codes, float[] Absmax) m, (byte[] Codes, float[] Absmax) v, IReadOnlyList<float> signed, IReadOnlyList<float> unsigned)
    {
        (_signed, _unsigned) = (signed, unsigned);
        (_m, _v) = (Widen(m, signed), Widen(v, unsigned));
    }

    /// <summary>The parameters after a step; the moments, not yet rounded, stay here.</summary>
    public double[] Step(
        float[] parameters, float[] gradients, double gradientScale, int step, double learningRate, double beta1, double beta2, double eps, double weightDecay)
    {
        var result = new double[parameters.Length];
        for (int i = 0; i < result.Length; i++)
        {
            double g = gradients[i] * gradientScale;
            _m[i] = beta1 * _m[i] + (1 - beta1) * g;
            _v[i] = beta2 * _v[i] + (1 - beta2) * g * g;
            double mean = _m[i] / (1 - Math.Pow(beta1, step)), square = _v[i] / (1 - Math.Pow(beta2, step));
            result[i] = parameters[i] - learningRate * (mean / (Math.Sqrt(square) + eps) + weightDecay * parameters[i]);
        }

        return result;
    }

    /// <summary>
    /// Throws unless the stored moments are this step's, each within half a gap of its map and a few roundings in f32 of the arithmetic before.
    /// </summary>
    public void AssertRounded((byte[] Codes, float[] Absmax) m, (byte[] Codes, float[] Absmax) v)
    {
        AssertRounded("m", _m, m, _signed, keepsAboveZero: false);
        AssertRounded("v", _v, v, _unsigned, keepsAboveZero: true);
    }

    private static void AssertRounded(string name, double[] exact, (byte[] Codes, float[] Absmax) stored, IReadOnlyList<float> map, bool keepsAboveZero)
    {
        double slack = Tolerance.Float32(1);
        for (int i = 0; i < exact.Length; i++)
        {
            int block = i / BlockSize, end = Math.Min(exact.Length, (block + 1) * BlockSize);
            double absmax = exact[(block * BlockSize)..end].Max(Math.Abs);
            if (Math.Abs(stored.Absmax[block] - absmax) > slack * absmax) throw new InvalidOperationException($"{name}: magnitude {stored.Absmax[block]} of block {block}, expected {absmax}");
            double fraction = absmax == 0 ? 0 : exact[i] / absmax;
            int code = stored.Codes[i], lower = Math.Max(code - 1, 0), upper = Math.Min(code + 1, 255);
            // The nearest value: the fraction lies between the middles to the neighbours. At the ends of the map there is no neighbour.
            double low = code == 0 ? double.NegativeInfinity : (map[lower] + (double)map[code]) / 2 - slack, high = code == 255 ? double.PositiveInfinity : (map[upper] + (double)map[code]) / 2 + slack;
            if (keepsAboveZero && code == 1) low = 0;
            if (keepsAboveZero && code == 0) high = 0;
            if (absmax > 0 && !(fraction >= low && fraction <= high)) throw new InvalidOperationException($"{name}: element {i} is {fraction} of its block, got code {code} for {map[code]}");
        }
    }

    private static double[] Widen((byte[] Codes, float[] Absmax) moment, IReadOnlyList<float> map) =>
        [.. moment.Codes.Select((code, i) => (double)map[code] * moment.Absmax[i / BlockSize])];
}
