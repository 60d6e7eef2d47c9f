using GemmaCore.Training.Planning;

namespace GemmaCore.Training.RunFiles;

/// <summary>One logged line of a run, with Hugging Face's names.</summary>
/// <param name="Step">Optimiser steps done.</param>
/// <param name="Epoch">Passes over the data done.</param>
/// <param name="Loss">Mean training loss since the last line; null on evaluation lines.</param>
/// <param name="GradNorm">Norm before clipping, of the last step; null on evaluation lines.</param>
/// <param name="LearningRate">Rate of the last step; null on evaluation lines.</param>
/// <param name="EvalLoss">Evaluation loss; null on training lines.</param>
public sealed record LogEntry(int Step, double Epoch, double? Loss, double? GradNorm, double? LearningRate, double? EvalLoss);

/// <summary>Where a run stands. Everything a resumed run needs beside adapter and optimiser, and nothing that depends on the clock.</summary>
public sealed record RunState
{
    /// <summary>Optimiser steps done.</summary>
    public int Step { get; init; }

    /// <summary>Steps of the whole run.</summary>
    public int MaxSteps { get; init; }

    /// <summary>Passes over the data done.</summary>
    public double Epoch { get; init; }

    /// <summary>Training tokens seen.</summary>
    public long TokenCount { get; init; }

    /// <summary>Sum of losses since the last log line.</summary>
    public double WindowLoss { get; init; }

    /// <summary>Steps since the last log line.</summary>
    public int WindowSteps { get; init; }

    /// <summary>Lowest evaluation loss so far; NaN before the first.</summary>
    public double BestLoss { get; init; } = double.NaN;

    /// <summary>Step of the lowest evaluation loss.</summary>
    public int BestStep { get; init; }

    /// <summary>Evaluations since then.</summary>
    public int EvaluationsWithoutImprovement { get; init; }

    /// <summary>The settings that a plan may have changed; null where an earlier version wrote the state.</summary>
    public PlannedSettings? Settings { get; init; }

    /// <summary>All log lines.</summary>
    public IReadOnlyList<LogEntry> Log { get; init; } = [];
}
