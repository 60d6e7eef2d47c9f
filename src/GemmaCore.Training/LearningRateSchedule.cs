namespace GemmaCore.Training;

/// <summary>
/// The learning rate of every step as transformers computes it: linear warm-up from 0, then constant, linear or cosine decay to 0. The rate of the
/// first step under warm-up is 0.
/// </summary>
public sealed class LearningRateSchedule
{
    private readonly string _type;
    private readonly double _peak;
    private readonly int _warmup, _total;

    /// <summary>A schedule.</summary>
    /// <param name="type"><c>linear</c>, <c>cosine</c>, <c>constant</c> or <c>constant_with_warmup</c>.</param>
    /// <param name="peak">Rate at the end of warm-up.</param>
    /// <param name="warmupSteps">Steps of warm-up.</param>
    /// <param name="totalSteps">Steps of the run.</param>
    public LearningRateSchedule(string type, double peak, int warmupSteps, int totalSteps)
    {
        _type = type is "linear" or "cosine" or "constant" or "constant_with_warmup"
            ? type
            : throw new ArgumentException($"'{type}' is not a schedule; expected linear, cosine, constant or constant_with_warmup", nameof(type));
        (_peak, _warmup, _total) = (peak, type == "constant" ? 0 : warmupSteps, totalSteps);
    }

    /// <summary>Rate of step <paramref name="step"/>, counted from 0.</summary>
    public double Rate(int step)
    {
        if (step < _warmup) return _peak * step / Math.Max(1, _warmup);
        double progress = (double)(step - _warmup) / Math.Max(1, _total - _warmup);
        return _peak * _type switch
        {
            "linear" => Math.Max(0, 1 - progress),
            "cosine" => Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * progress))),
            _ => 1,
        };
    }
}
