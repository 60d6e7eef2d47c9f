using System.Buffers;
using System.Numerics;

namespace GemmaCore.Generation;

/// <summary>
/// Each filter removes tokens by setting their logit to −∞, or rescales logits. Order and corner cases are those of transformers 4.57's
/// logits processors, observed through golden data: repetition penalty, temperature, top-k, top-p, min-p. What OpenAI's API adds comes before them.
/// </summary>
public static class SamplingFilters
{
    /// <summary>Penalises tokens that occurred; each once, however often it did.</summary>
    public static void RepetitionPenalty(Span<float> logits, ReadOnlySpan<int> seen, float penalty)
    {
        if (penalty == 1) return;
        foreach (int id in new HashSet<int>(seen.ToArray()))
        {
            if ((uint)id >= (uint)logits.Length) continue;
            logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
        }
    }

    /// <summary>Subtracts from the logits of tokens in the answer: <paramref name="presence"/> once, <paramref name="frequency"/> for each occurrence.</summary>
    public static void OccurrencePenalties(Span<float> logits, ReadOnlySpan<int> answer, float presence, float frequency)
    {
        if (presence == 0 && frequency == 0) return;
        foreach ((int id, int count) in answer.ToArray().CountBy(id => id))
            if ((uint)id < (uint)logits.Length) logits[id] -= presence + frequency * count;
    }

    /// <summary>Adds to single logits.</summary>
    public static void Bias(Span<float> logits, IReadOnlyDictionary<int, float> bias)
    {
        ArgumentNullException.ThrowIfNull(bias);
        foreach ((int id, float value) in bias)
            if ((uint)id < (uint)logits.Length) logits[id] += value;
    }

    /// <summary>Divides by the temperature.</summary>
    public static void Temperature(Span<float> logits, float temperature)
    {
        for (int i = 0; i < logits.Length; i++) logits[i] /= temperature;
    }

    /// <summary>Keeps logits at or above the k-th largest; ties with it stay.</summary>
    public static void TopK(Span<float> logits, int k)
    {
        if (k <= 0 || k >= logits.Length) return;
        float threshold = KthLargest(logits, k);
        for (int i = 0; i < logits.Length; i++)
            if (logits[i] < threshold) logits[i] = float.NegativeInfinity;
    }

    /// <summary>Removes the tail whose total probability is at most 1 − p, least likely first; the most likely token always stays.</summary>
    public static void TopP(Span<float> logits, float p)
    {
        if (p >= 1) return;
        int count = Candidates(logits, out float[] keys, out int[] ids);
        Array.Sort(keys, ids, 0, count);
        double max = keys[count - 1], total = 0, tail = 0;
        for (int i = 0; i < count; i++) total += Math.Exp(keys[i] - max);
        for (int i = 0; i < count - 1; i++)
        {
            tail += Math.Exp(keys[i] - max) / total;
            if ((float)tail > 1 - p) break;
            logits[ids[i]] = float.NegativeInfinity;
        }

        Return(keys, ids);
    }

    /// <summary>Removes tokens less likely than <paramref name="p"/> times the most likely one.</summary>
    public static void MinP(Span<float> logits, float p)
    {
        if (p <= 0) return;
        float max = Max(logits);
        double cut = Math.Log(p);
        for (int i = 0; i < logits.Length; i++)
            if (logits[i] - max < cut) logits[i] = float.NegativeInfinity;
    }

    /// <summary>False when a NaN or an infinity is among the numbers.</summary>
    public static bool AllFinite(ReadOnlySpan<float> values)
    {
        // A finite number times zero is zero; NaN and infinity become NaN, which no sum loses again.
        Vector<float> sum = Vector<float>.Zero;
        int i = 0;
        for (; i <= values.Length - Vector<float>.Count; i += Vector<float>.Count) sum += new Vector<float>(values[i..]) * Vector<float>.Zero;
        float rest = Vector.Sum(sum);
        for (; i < values.Length; i++) rest += values[i] * 0;
        return rest == 0;
    }

    /// <summary>Largest logit.</summary>
    public static float Max(ReadOnlySpan<float> logits) => logits[ArgMax(logits)];

    /// <summary>Index of the largest logit; the first among equals.</summary>
    public static int ArgMax(ReadOnlySpan<float> logits)
    {
        int best = 0;
        float max = float.NegativeInfinity;
        for (int i = 0; i < logits.Length; i++)
        {
            if (!(logits[i] > max)) continue;
            max = logits[i];
            best = i;
        }

        return best;
    }

    /// <summary>ln Σ exp(logits), with the maximum taken out first.</summary>
    public static double LogSumExp(ReadOnlySpan<float> logits)
    {
        double max = Max(logits), sum = 0;
        foreach (float value in logits) sum += Math.Exp(value - max);
        return max + Math.Log(sum);
    }

    internal static int Candidates(ReadOnlySpan<float> logits, out float[] keys, out int[] ids)
    {
        keys = ArrayPool<float>.Shared.Rent(logits.Length);
        ids = ArrayPool<int>.Shared.Rent(logits.Length);
        int count = 0;
        for (int i = 0; i < logits.Length; i++)
        {
            if (float.IsNegativeInfinity(logits[i])) continue;
            keys[count] = logits[i];
            ids[count++] = i;
        }

        return count;
    }

    internal static void Return(float[] keys, int[] ids)
    {
        ArrayPool<float>.Shared.Return(keys);
        ArrayPool<int>.Shared.Return(ids);
    }

    // A heap of the k best so far: one comparison per logit once the heap is full of large ones.
    private static float KthLargest(ReadOnlySpan<float> logits, int k)
    {
        float[] heap = ArrayPool<float>.Shared.Rent(k);
        Span<float> best = heap.AsSpan(0, k);
        logits[..k].CopyTo(best);
        for (int i = k / 2 - 1; i >= 0; i--) SiftDown(best, i);
        foreach (float value in logits[k..])
        {
            if (!(value > best[0])) continue;
            best[0] = value;
            SiftDown(best, 0);
        }

        float result = best[0];
        ArrayPool<float>.Shared.Return(heap);
        return result;
    }

    private static void SiftDown(Span<float> heap, int root)
    {
        while (true)
        {
            int child = 2 * root + 1;
            if (child >= heap.Length) return;
            if (child + 1 < heap.Length && heap[child + 1] < heap[child]) child++;
            if (heap[root] <= heap[child]) return;
            (heap[root], heap[child]) = (heap[child], heap[root]);
            root = child;
        }
    }
}
