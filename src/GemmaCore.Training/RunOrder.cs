using GemmaCore.Training.Configuration;

namespace GemmaCore.Training;

/// <summary>Which rows go into which micro-batch of which step.</summary>
internal sealed class RunOrder
{
    private readonly TrainingConfiguration _configuration;
    private readonly int _rowCount, _batchRows;

    public RunOrder(TrainingConfiguration configuration, int rowCount)
    {
        (_configuration, _rowCount) = (configuration, rowCount);
        _batchRows = configuration.PerDeviceTrainBatchSize * configuration.GradientAccumulationSteps;
        StepsPerEpoch = (rowCount + _batchRows - 1) / _batchRows;
        TotalSteps = configuration.MaxSteps > 0 ? configuration.MaxSteps : Math.Max(1, (int)Math.Ceiling(configuration.NumTrainEpochs * StepsPerEpoch));
    }

    public int StepsPerEpoch { get; }

    public int TotalSteps { get; }

    /// <summary>Rows of every micro-batch of a step, counted from 0.</summary>
    public IEnumerable<int[]> MicroBatches(int step)
    {
        int epoch = step / StepsPerEpoch, first = step % StepsPerEpoch * _batchRows;
        int[] order = EpochOrder.Of(_rowCount, _configuration.DataSeed ?? _configuration.Seed, epoch);
        return order.AsSpan(first, Math.Min(_batchRows, order.Length - first)).ToArray().Chunk(_configuration.PerDeviceTrainBatchSize);
    }

    /// <summary>Every row that some step takes, once.</summary>
    public IReadOnlyList<int> Rows() => TotalSteps >= StepsPerEpoch
        ? [.. Enumerable.Range(0, _rowCount)]
        : [.. Enumerable.Range(0, TotalSteps).SelectMany(step => MicroBatches(step).SelectMany(rows => rows))];
}
