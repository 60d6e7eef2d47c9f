using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>Σ over the listed rows of log Σ exp(head·h) − (head·h)[target]: one value.</summary>
public static class LinearCrossEntropyReference
{
    public static T[] Forward<T, F>(T[] hidden, double[] head, int columns, int[] rows, int[] targets)
        where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        T loss = T.Zero;
        for (int i = 0; i < rows.Length; i++)
        {
            var logits = new T[head.Length / columns];
            for (int token = 0; token < logits.Length; token++)
                for (int j = 0; j < columns; j++) logits[token] += hidden[rows[i] * columns + j] * F.Of(head[token * columns + j]);
            double largest = logits.Max(F.RealPart);
            T sum = T.Zero;
            foreach (T logit in logits) sum += F.Exp(logit - F.Of(largest));
            loss += F.Log(sum) + F.Of(largest) - logits[targets[i]];
        }

        return [loss];
    }
}
