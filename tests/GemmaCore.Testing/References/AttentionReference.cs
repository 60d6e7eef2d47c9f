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
