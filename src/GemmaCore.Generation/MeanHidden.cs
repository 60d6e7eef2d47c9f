namespace GemmaCore.Generation;

/// <summary>
/// What a prompt becomes when it is embedded: the mean of the hidden states after the last norm over all its tokens but the opening one (every text has it, and attention
/// parks on it), scaled to length 1. Sums are in double, in the order of the tokens.
/// </summary>
internal sealed class MeanHidden(int hiddenSize)
{
    private readonly double[] _sums = new double[hiddenSize];
    private int _rows;

    /// <summary>Adds the states of some tokens.</summary>
    /// <param name="rows">[T, D].</param>
    public void Add(ReadOnlySpan<float> rows)
    {
        for (int from = 0; from < rows.Length; from += _sums.Length, _rows++)
        {
            ReadOnlySpan<float> row = rows.Slice(from, _sums.Length);
            for (int i = 0; i < row.Length; i++) _sums[i] += row[i];
        }
    }

    /// <summary>The embedding; null when the states are not finite, or there were none.</summary>
    public float[]? Vector()
    {
        double squares = 0;
        foreach (double sum in _sums) squares += sum * sum;
        if (_rows == 0 || !double.IsFinite(squares) || squares == 0) return null;
        double scale = 1 / Math.Sqrt(squares);
        float[] vector = new float[_sums.Length];
        for (int i = 0; i < vector.Length; i++) vector[i] = (float)(_sums[i] * scale);
        return vector;
    }
}
