namespace GemmaCore.Training;

/// <summary>The order of rows in an epoch: a Fisher–Yates shuffle drawn from seed and epoch alone, so any step of a run can be found again.</summary>
public static class EpochOrder
{
    /// <summary>A permutation of 0..count−1.</summary>
    public static int[] Of(int count, int seed, int epoch)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        ulong state = ((ulong)(uint)seed << 32) | (uint)epoch;
        for (int i = count - 1; i > 0; i--)
        {
            // SplitMix64 (Steele, Lea, Flood, OOPSLA 2014); the bias of the remainder is below 2^-40 for any data set.
            ulong z = state += 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            int other = (int)((z ^ (z >> 31)) % (ulong)(i + 1));
            (order[i], order[other]) = (order[other], order[i]);
        }

        return order;
    }
}
