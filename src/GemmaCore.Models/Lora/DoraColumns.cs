using GemmaCore.Ops;

namespace GemmaCore.Models.Lora;

/// <summary>
/// Weight-decomposed adapters at inference (arXiv:2402.09353): y = (m/n) ⊙ (W x + s·B A x) + b with n the row norms of W + s·B·A. The norms
/// do not depend on x, so m/n is computed once.
/// </summary>
internal static class DoraColumns
{
    /// <summary>m/n of every output column.</summary>
    /// <param name="weight">[out · in] base weight.</param>
    /// <param name="lora">A [R, in], B [out, R], s.</param>
    /// <param name="magnitude">[out] m.</param>
    public static float[] Scale(float[] weight, LoraWeights lora, float[] magnitude)
    {
        var scale = new float[magnitude.Length];
        float[] a = lora.A.ToFloats(), b = lora.B.ToFloats();
        int rank = lora.A.Shape[0], inputs = lora.A.Shape[1];
        Parallel.For(0, scale.Length, row =>
        {
            var merged = weight.AsSpan(row * inputs, inputs).ToArray();
            for (int r = 0; r < rank; r++)
            {
                float factor = lora.Scale * b[row * rank + r];
                for (int i = 0; i < inputs; i++) merged[i] += factor * a[r * inputs + i];
            }

            double sum = 0;
            foreach (float value in merged) sum += (double)value * value;
            scale[row] = (float)(magnitude[row] / Math.Sqrt(sum));
        });
        return scale;
    }
}
