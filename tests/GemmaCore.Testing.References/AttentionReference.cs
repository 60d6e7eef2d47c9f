using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>
/// y = softmax(scale · q·kᵀ)·v, row by row over the row's slots [start, end); query head j reads key head j / (N / K) (arXiv:2305.13245).
/// One sequence: slot = row of k and v.
/// </summary>
public static class AttentionReference
{
    public static T[] Forward<T, F>(T[] q, T[] k, T[] v, int heads, int keyHeads, int headSize, int[] start, int[] end, double scale)
        where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        var y = new T[q.Length];
        for (int row = 0; row < start.Length; row++)
        {
            for (int head = 0; head < heads; head++)
            {
                int keyHead = head / (heads / keyHeads), at = (row * heads + head) * headSize;
                if (start[row] >= end[row]) continue;
                T[] weights = Softmax<T, F>(Scores<T, F>(q, at, k, keyHeads, keyHead, headSize, start[row], end[row], scale));
                for (int i = 0; i < weights.Length; i++)
                    for (int h = 0; h < headSize; h++)
                        y[at + h] += weights[i] * v[((start[row] + i) * keyHeads + keyHead) * headSize + h];
            }
        }

        return y;
    }

    /// <summary>
    /// dQ, dK and dV row by row: with P the softmax and dP_j = dY·v_j, dS_j = P_j (dP_j − Σ P dP) scale; dQ = Σ dS_j k_j, dK_j += dS_j q, dV_j += P_j dY.
    /// </summary>
    public static double[][] Backward(
        double[] q, double[] k, double[] v, double[] dY, int heads, int keyHeads, int headSize, int[] start, int[] end, double scale)
    {
        double[] dQ = new double[q.Length], dK = new double[k.Length], dV = new double[v.Length];
        for (int row = 0; row < start.Length; row++)
        {
            for (int head = 0; head < heads; head++)
            {
                if (start[row] >= end[row]) continue;
                int keyHead = head / (heads / keyHeads), at = (row * heads + head) * headSize;
                double[] weights = Softmax<double, RealFunctions>(
                    Scores<double, RealFunctions>(q, at, k, keyHeads, keyHead, headSize, start[row], end[row], scale));
                double[] slopes = [.. weights.Select((_, i) => Dot(dY, at, v, Key(i), headSize))];
                double mean = weights.Zip(slopes, (weight, slope) => weight * slope).Sum();
                for (int i = 0; i < weights.Length; i++)
                {
                    double dS = weights[i] * (slopes[i] - mean) * scale;
                    for (int h = 0; h < headSize; h++)
                    {
                        dQ[at + h] += dS * k[Key(i) + h];
                        dK[Key(i) + h] += dS * q[at + h];
                        dV[Key(i) + h] += weights[i] * dY[at + h];
                    }
                }

                int Key(int i) => ((start[row] + i) * keyHeads + keyHead) * headSize;
            }
        }

        return [dQ, dK, dV];
    }

    private static double Dot(double[] a, int atA, double[] b, int atB, int count)
    {
        double sum = 0;
        for (int i = 0; i < count; i++) sum += a[atA + i] * b[atB + i];
        return sum;
    }

    private static T[] Scores<T, F>(T[] q, int at, T[] k, int keyHeads, int keyHead, int headSize, int start, int end, double scale)
        where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        var scores = new T[end - start];
        for (int i = 0; i < scores.Length; i++)
        {
            for (int h = 0; h < headSize; h++) scores[i] += q[at + h] * k[((start + i) * keyHeads + keyHead) * headSize + h];
            scores[i] *= F.Of(scale);
        }

        return scores;
    }

    private static T[] Softmax<T, F>(T[] scores) where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        double largest = scores.Max(F.RealPart);
        T[] weights = Array.ConvertAll(scores, s => F.Exp(s - F.Of(largest)));
        T sum = T.Zero;
        foreach (T weight in weights) sum += weight;
        return Array.ConvertAll(weights, w => w / sum);
    }
}
