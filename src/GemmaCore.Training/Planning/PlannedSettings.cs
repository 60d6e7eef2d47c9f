using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Planning;

/// <summary>The settings that a plan may change, as a run has them. A run that goes on keeps them: with others its sums have another order, and its optimiser other moments.</summary>
/// <param name="CacheImageFeatures"><c>cache_image_features</c>.</param>
/// <param name="SamplesAtOnce"><c>samples_at_once</c>.</param>
/// <param name="GradientCheckpointing"><c>gradient_checkpointing</c>.</param>
/// <param name="LossChunkRows"><c>loss_chunk_rows</c>.</param>
/// <param name="Optim"><c>optim</c>.</param>
public sealed record PlannedSettings(bool CacheImageFeatures, int SamplesAtOnce, bool GradientCheckpointing, int LossChunkRows, string Optim)
{
    /// <summary>Those of a configuration.</summary>
    public static PlannedSettings Of(TrainingConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        return new(configuration.CacheImageFeatures, configuration.SamplesAtOnce, configuration.GradientCheckpointing, configuration.LossChunkRows, configuration.Optim);
    }

    /// <summary>What is asked for, with what the run had given up.</summary>
    public TrainingConfiguration Over(TrainingConfiguration asked)
    {
        ArgumentNullException.ThrowIfNull(asked);
        return asked with
        {
            CacheImageFeatures = asked.CacheImageFeatures || CacheImageFeatures,
            SamplesAtOnce = Smaller(asked.SamplesAtOnce, SamplesAtOnce),
            GradientCheckpointing = asked.GradientCheckpointing || GradientCheckpointing,
            LossChunkRows = Smaller(asked.LossChunkRows, LossChunkRows),
            Optim = Optim == TrainingConfiguration.AdamW8Bit ? Optim : asked.Optim,
        };
    }

    // Zero is no limit.
    private static int Smaller(int one, int other) => one == 0 || other == 0 ? Math.Max(one, other) : Math.Min(one, other);
}
