namespace GemmaCore.Training;

/// <summary>
/// The learning rate of every step as transformers computes it: linear warm-up from 0, then constant, linear or cosine decay. The rate of the first step
/// under warm-up is 0.
/// </summary>
public sealed class LearningRateSchedule
{
    private readonly string _type;
    private readonly double _peak, _minRate;
    private readonly int _warmup, _total;

    /// <summary>A schedule.</summary>
    /// <param name="type"><c>linear</c>, <c>cosine</c>, <c>constant</c>, <c>constant_with_warmup</c> or <c>cosine_with_min_lr</c>.</param>
    /// <param name="peak">Rate at the end of warm-up.</param>
    /// <param name="warmupSteps">Steps of warm-up.</param>
    /// <param name="totalSteps">Steps of the run.</param>
    /// <param name="minRate"><c>cosine_with_min_lr</c>: rate at the end as a share of the peak.</param>
    public LearningRateSchedule(string type, double peak, int warmupSteps, int totalSteps, double minRate = 0)
    {
        _type = type is "linear" or "cosine" or "constant" or "constant_with_warmup" or "cosine_with_min_lr"
            ? type
            : throw new ArgumentException(
                $"'{type}' is not a schedule; expected linear, cosine, constant, constant_with_warmup or cosine_with_min_lr", nameof(type));
        (_peak, _warmup, _total, _minRate) = (peak, type == "constant" ? 0 : warmupSteps, totalSteps, minRate);
    }

    /// <summary>Rate of step <paramref name="step"/>, counted from 0.</summary>
    public double Rate(int step)
    {
        if (step < _warmup) return _peak * step / Math.Max(1, _warmup);
        double progress = (double)(step - _warmup) / Math.Max(1, _total - _warmup);
        double cosine = 0.5 * (1 + Math.Cos(Math.PI * progress));
        return _peak * _type switch
        {
            "linear" => Math.Max(0, 1 - progress),
            "cosine" => Math.Max(0, cosine),
            "cosine_with_min_lr" => Math.Max(0, cosine * (1 - _minRate) + _minRate),
            _ => 1,
        };
    }
}
