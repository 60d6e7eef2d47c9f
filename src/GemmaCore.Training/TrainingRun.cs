using System.Diagnostics;
using GemmaCore.Checkpoints;
using GemmaCore.Models.Lora;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.Planning;
using GemmaCore.Training.RunFiles;

namespace GemmaCore.Training;

/// <summary>Progress of a run after a step.</summary>
/// <param name="State">Where the run stands.</param>
/// <param name="Step">What the step did.</param>
/// <param name="LearningRate">Its rate.</param>
/// <param name="TokensPerSecond">Speed since the start of this process.</param>
/// <param name="SecondsLeft">Time to the end at that speed.</param>
/// <param name="EvalLoss">Set when the step was followed by an evaluation.</param>
public sealed record TrainingProgress(RunState State, StepResult Step, double LearningRate, double TokensPerSecond, double SecondsLeft, double? EvalLoss);

/// <summary>A run over a data set: order, schedule, log, evaluation, checkpoints, early stop, resume.</summary>
public sealed class TrainingRun : IDisposable
{
    private readonly TrainingConfiguration _configuration;
    private readonly LoraTrainer _trainer;
    private readonly LoraAdapter _adapter;
    private readonly EncodedDataset _data;
    private readonly EncodedDataset? _evaluation;
    private readonly RunFolder _folder;
    private readonly LearningRateSchedule _schedule;
    private readonly RunOrder _order;
    private readonly int _stepsPerEpoch, _totalSteps;
    private readonly List<LogEntry> _log = [];

    /// <summary>Prepares a run.</summary>
    /// <param name="configuration">Its settings.</param>
    /// <param name="folder">Where its files go; the run's own from now on.</param>
    /// <param name="trainer">What does the steps.</param>
    /// <param name="adapter">What is trained.</param>
    /// <param name="data">Training rows.</param>
    /// <param name="evaluation">Rows to evaluate on; null for none.</param>
    public TrainingRun(TrainingConfiguration configuration, RunFolder folder, LoraTrainer trainer, LoraAdapter adapter, EncodedDataset data, EncodedDataset? evaluation)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(data);
        (_trainer, _adapter, _data, _evaluation) = (trainer, adapter, data, evaluation);
        _folder = folder;
        _order = new RunOrder(configuration, data.Count);
        (_stepsPerEpoch, _totalSteps) = (_order.StepsPerEpoch, _order.TotalSteps);
        _configuration = configuration.InSteps(_totalSteps, _stepsPerEpoch);
        _schedule = new LearningRateSchedule(
            configuration.LrSchedulerType, configuration.LearningRate, (int)_configuration.WarmupSteps, _totalSteps, configuration.MinLrRate);
        State = new RunState { MaxSteps = _totalSteps, Settings = PlannedSettings.Of(configuration) };
    }

    /// <summary>Where the run stands.</summary>
    public RunState State { get; private set; }

    /// <summary>Nothing is left to do: every step is done, or early stopping ended the run.</summary>
    public bool IsOver => HasEnded(State, _configuration);

    /// <summary>Called when <see cref="Run"/> has the folder to itself, before the first step.</summary>
    public Action? OnBegin { get; init; }

    /// <summary>The configuration with every interval in whole steps.</summary>
    public TrainingConfiguration Configuration => _configuration;

    /// <summary>The output folder.</summary>
    public RunFolder Folder => _folder;

    private NameGeneration Layout => _configuration.PeftLayout == "legacy" ? NameGeneration.First : NameGeneration.Second;

    /// <summary>Goes back to a checkpoint; null for the newest one.</summary>
    /// <returns>False when there is no checkpoint to go back to.</returns>
    public bool Resume(string? checkpoint)
    {
        if (checkpoint is null && _folder.Checkpoints.Count == 0) return false;
        RunState state = RunFolder.Restore(checkpoint ?? _folder.Checkpoints[^1].Folder, _adapter, _trainer.Optimizer);
        State = state with { MaxSteps = _totalSteps, Settings = State.Settings };
        _log.AddRange(state.Log);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _folder.Dispose();

    /// <summary>Trains to the end, or to the end of the step in which <paramref name="cancellation"/> is requested; saves either way.</summary>
    /// <exception cref="ConfigurationException">
    /// The run starts anew in a folder with checkpoints of an unfinished one, and <c>overwrite_output_dir</c> does not say that they may go.
    /// </exception>
    public void Run(Action<TrainingProgress>? onStep, CancellationToken cancellation)
    {
        if (State.Step == 0) StartAnew();
        else _folder.WriteLog(_log); // cut back to the checkpoint
        OnBegin?.Invoke();
        using TensorBoardEvents? events = _configuration.TensorBoard ? new TensorBoardEvents(_configuration.OutputDir, DateTimeOffset.Now) : null;
        int eventsWritten = _log.Count;
        long start = Stopwatch.GetTimestamp(), tokensBefore = State.TokenCount;
        int stepsBefore = State.Step;
        while (!IsOver && !cancellation.IsCancellationRequested)
        {
            double rate = _schedule.Rate(State.Step);
            IReadOnlyList<IReadOnlyList<EncodedExample>> batches = BatchesOf(State.Step);
            StepResult result = batches.Count > 0 ? _trainer.Step(batches, (float)rate) : SkipStep();
            State = State with
            {
                Step = State.Step + 1,
                Epoch = (double)(State.Step + 1) / _stepsPerEpoch,
                TokenCount = State.TokenCount + result.TokenCount,
                WindowLoss = State.WindowLoss + result.Loss,
                WindowSteps = State.WindowSteps + (batches.Count > 0 ? 1 : 0),
            };
            if (State.Step % _configuration.LoggingSteps == 0 || State.Step == _totalSteps) LogStep(result, rate);
            double? evalLoss = _evaluation is not null && (State.Step % _configuration.EvalSteps == 0 || State.Step == _totalSteps) ? Evaluate() : null;
            if (State.Step % _configuration.SaveSteps == 0 || (evalLoss is not null && State.BestStep == State.Step)) Save();
            for (; events is not null && eventsWritten < _log.Count; eventsWritten++) events.Write(_log[eventsWritten], DateTimeOffset.Now);
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            onStep?.Invoke(new TrainingProgress(
                State, result, rate, (State.TokenCount - tokensBefore) / seconds, seconds / (State.Step - stepsBefore) * (_totalSteps - State.Step), evalLoss));
        }

        Save();
        Finish();
    }

    /// <summary>Whether a run may start anew in a folder. A finished run is replaced, as its adapter will be; an unfinished one may be hours of work that somebody forgot to resume.</summary>
    /// <exception cref="ConfigurationException">There is an unfinished one, and <c>overwrite_output_dir</c> does not say that it may go.</exception>
    public static void RequireReplaceable(RunFolder folder, TrainingConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(configuration);
        if (configuration.OverwriteOutputDir || folder.Checkpoints is not [.., var newest]) return;
        RunState earlier = RunFolder.StateOf(newest.Folder);
        if (HasEnded(earlier, configuration)) return;
        throw new ConfigurationException($"{folder.Path}: an earlier run stopped there at step {earlier.Step} of {earlier.MaxSteps}; go on with --resume, "
            + "replace it with overwrite_output_dir=true, or choose another output_dir");
    }

    // Resuming takes the newest checkpoint, whoever wrote it; so a run that starts anew may not leave any of another one.
    private void StartAnew()
    {
        RequireReplaceable(_folder, _configuration);
        _folder.RemoveCheckpoints();
        _folder.WriteLog([]);
    }

    private static bool HasEnded(RunState state, TrainingConfiguration configuration) => state.Step >= state.MaxSteps
        || (configuration.EarlyStoppingPatience > 0 && state.EvaluationsWithoutImprovement >= configuration.EarlyStoppingPatience);

    // Rows that cannot be used are known when they are met; where they fill a step (on_bad_row: skip) the run goes on, unless an epoch brought nothing else.
    private StepResult SkipStep() => State.TokenCount > 0 || State.Step + 1 < Math.Min(_stepsPerEpoch, _totalSteps)
        ? _trainer.SkipStep()
        : throw new DatasetException($"none of the {_data.Count} rows can be used");

    private IReadOnlyList<IReadOnlyList<EncodedExample>> BatchesOf(int step) =>
        [.. _order.MicroBatches(step).Select(rows => _data.Take(rows)).Where(batch => batch.Count > 0)];

    private void LogStep(StepResult result, double rate)
    {
        if (State.WindowSteps > 0) Log(new LogEntry(State.Step, State.Epoch, State.WindowLoss / State.WindowSteps, result.GradientNorm, rate, null), closesWindow: true);
    }

    private double Evaluate()
    {
        IEnumerable<IReadOnlyList<EncodedExample>> batches = Enumerable.Range(0, _evaluation!.Count)
            .Chunk(_configuration.PerDeviceEvalBatchSize).Select(rows => _evaluation.Take(rows)).Where(batch => batch.Count > 0);
        double loss = _trainer.Evaluate(batches);
        bool better = double.IsNaN(State.BestLoss) || loss < State.BestLoss - _configuration.EarlyStoppingThreshold;
        State = State with
        {
            BestLoss = better ? loss : State.BestLoss,
            BestStep = better ? State.Step : State.BestStep,
            EvaluationsWithoutImprovement = better ? 0 : State.EvaluationsWithoutImprovement + 1,
        };
        Log(new LogEntry(State.Step, State.Epoch, null, null, null, loss), closesWindow: false);
        return loss;
    }

    private void Log(LogEntry entry, bool closesWindow)
    {
        _log.Add(entry);
        State = State with
        {
            Log = [.. _log],
            WindowLoss = closesWindow ? 0 : State.WindowLoss,
            WindowSteps = closesWindow ? 0 : State.WindowSteps,
        };
        _folder.AppendLog(entry);
    }

    private void Save() => _folder.Save(State, _adapter, _trainer.Optimizer, Layout, StateText(), _configuration.SaveTotalLimit);

    private string StateText() => TrainerStateFile.Format(
        State, _configuration.PerDeviceTrainBatchSize, (int)_configuration.LoggingSteps, (int)_configuration.SaveSteps, (int)_configuration.EvalSteps);

    private void Finish()
    {
        if (_configuration.LoadBestModelAtEnd && State.BestStep > 0 && State.BestStep != State.Step)
        {
            string best = _folder.Checkpoints.First(item => item.Step == State.BestStep).Folder;
            RunState state = State;
            RunFolder.Restore(best, _adapter, _trainer.Optimizer);
            State = state;
        }

        _adapter.Save(_configuration.OutputDir, Layout);
        AtomicFile.WriteAllText(Path.Combine(_configuration.OutputDir, TrainerStateFile.Name), StateText());
    }
}
