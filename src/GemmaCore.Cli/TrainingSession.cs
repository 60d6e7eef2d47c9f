using System.Diagnostics;
using System.Reflection;
using GemmaCore.Checkpoints;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Training;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.Planning;
using GemmaCore.Training.RunFiles;

namespace GemmaCore.Cli;

/// <summary>From a configuration to a finished run: loads model and data, shows progress, writes plot and passport.</summary>
internal sealed class TrainingSession : IDisposable
{
    private readonly TrainingConfiguration _configuration;
    private readonly Device _device;
    private readonly LanguageModel _model;
    private readonly TrainingStage _stage;
    private readonly TrainingRun _run;
    private readonly RowReport _report;
    private readonly MemoryPlan _plan;
    private readonly string _dataHash, _modelHash;
    private bool _isFinished;
    private readonly Action<string> _say;

    private TrainingSession(TrainingConfiguration configuration, Device device, RunFolder run, Action<string> say, ResumedRun? resumed)
    {
        (_device, _say) = (device, say);
        string folder = ModelLocation.Resolve(configuration.ModelNameOrPath);
        configuration = Here(folder, configuration);
        _report = new RowReport(configuration.SkipBadRows);
        PromptEncoder prompts = PictureSettings.Of(configuration).Apply(PromptEncoder.Load(folder, configuration.MmTokensPerImage));
        var encoder = new ExampleEncoder(prompts, configuration.MaxLength, configuration.LossOn);
        (IReadOnlyList<TrainingExample> rows, IReadOnlyList<TrainingExample> evaluationRows) = Dataset.Open(
            configuration with { Dataset = ModelLocation.Resolve(configuration.Dataset), EvalDataset = configuration.EvalDataset is { } other ? ModelLocation.Resolve(other) : null }, _report);
        var data = new EncodedDataset(rows, encoder, _report);
        EncodedDataset? evaluation = configuration.Evaluates ? new EncodedDataset(evaluationRows, encoder, _report) : null;
        (RowCount, _dataHash) = (data.Count, RunPassport.HashOf(rows));
        _modelHash = HashOfModel(folder);
        resumed?.Earlier?.Require(configuration, _modelHash, _dataHash);
        var content = new RunContent(configuration, data, evaluation);
        _plan = Plan(folder, configuration, content.LargestSample(prompts, [.. rows, .. evaluationRows]), resumed?.Settings);
        _configuration = configuration = _plan.Configuration;
        _model = ModelFolder.Load(folder, _device, configuration.Variant);
        try
        {
            _stage = new TrainingStage(configuration, _model);
            int pictures = _stage.EncodePictures(content.ShowPictures);
            if (pictures > 0) say($"{pictures} pictures encoded; the vision tower has left memory");
            long parameters = _stage.Adapter.Parameters.Sum(parameter => parameter.Value.Shape.ElementCount);
            say($"adapter on {_stage.Adapter.LayerCount} layers, {parameters:N0} parameters");
            LoraTrainer trainer = _stage.Start(_plan.Step, part => say($"out of memory: going on with parts of {part} samples; the steps stay the same"));
            // A killed run is to be known again as well. Its steps are told when it ends.
            _run = new TrainingRun(configuration, run, trainer, _stage.Adapter, data, evaluation) { OnBegin = () => WritePassport(0, 0) };
            say($"{data.Count} rows, {_run.State.MaxSteps} steps of {configuration.PerDeviceTrainBatchSize} x {configuration.GradientAccumulationSteps}");
            if (resumed is not null) GoOn(resumed);
        }
        catch
        {
            _stage?.Dispose();
            _model.Dispose();
            throw;
        }
    }

    public RunState State => _run.State;

    /// <summary>Nothing is left to do.</summary>
    public bool IsOver => _run.IsOver;

    public int RowCount { get; }

    /// <summary>How the base holds its linear layers, e.g. <c>bf16</c> or <c>nf4</c>.</summary>
    public string WeightFormat => _model.Linears[0].Weight.Format;

    public string DeviceName => _device.Name;

    public string PrecisionPath => _device.PrecisionPath;

    /// <summary>Loads everything; the session owns the device.</summary>
    /// <param name="configuration">What is asked for.</param>
    /// <param name="device">The device.</param>
    /// <param name="say">Where lines about the run go.</param>
    /// <param name="resumed">The run that goes on; null for a new one.</param>
    public static TrainingSession Open(TrainingConfiguration configuration, Device device, Action<string> say, ResumedRun? resumed = null)
    {
        RunFolder? run = null;
        try
        {
            // Nobody waits for pictures to be encoded, to be told then that the folder is taken.
            run = new RunFolder(configuration.OutputDir);
            if (resumed is null) TrainingRun.RequireReplaceable(run, configuration);
            return new TrainingSession(configuration, device, run, say, resumed);
        }
        catch
        {
            run?.Dispose();
            device.Dispose();
            throw;
        }
    }

    public void Run(CancellationToken cancellation)
    {
        if (_isFinished)
        {
            _say($"{_configuration.OutputDir}: the run ended at step {_run.State.Step}, nothing is left to do; a higher max_steps, num_train_epochs or early_stopping_patience lets it go on");
            return;
        }

        long start = Stopwatch.GetTimestamp();
        try
        {
            _run.Run(Show, cancellation);
        }
        finally
        {
            foreach (string row in _report.Lines) _say($"left out: {row}");
        }

        LossPlot.Write(Path.Combine(_configuration.OutputDir, "training_loss.png"), _run.State.Log);
        WritePassport(_run.State.Step, Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    public void Dispose()
    {
        _run.Dispose();
        _stage.Dispose();
        _model.Dispose();
        _device.Dispose();
    }

    private TrainingConfiguration Here(string folder, TrainingConfiguration configuration)
    {
        using CpuDevice rehearsal = CpuDevice.Rehearsal();
        using LanguageModel shape = ModelFolder.Rehearse(folder, rehearsal, new ModelVariant());
        (TrainingConfiguration settings, IReadOnlyList<string> notes) = SettingsHere.For(configuration, shape, _device);
        foreach (string note in notes) _say(note);
        return settings;
    }

    private void GoOn(ResumedRun resumed)
    {
        if (!_run.Resume(resumed.Checkpoint)) throw ResumedRun.NoCheckpoint(_configuration.OutputDir);
        _say($"resumed at step {_run.State.Step}");
        // A run killed between its last checkpoint and its passport has its adapter still to write.
        _isFinished = IsOver && resumed.IsIn(_configuration.OutputDir) && resumed.Earlier?.Steps == _run.State.Step;
    }

    private MemoryPlan Plan(string folder, TrainingConfiguration configuration, SampleShape sample, PlannedSettings? before)
    {
        PlanTarget place = PlanTarget.Of(_device);
        PlanRoom room = place.Room(configuration.Memory);
        MemoryPlan plan = MemoryPlanner.Fit(
            place.Rehearse((device, variant) => ModelFolder.Rehearse(folder, device, variant)), configuration, sample, room.Limit, room.DriverBytes, before, room.Words);
        foreach (string line in plan.GivenUp) _say($"{(plan.Kept.Contains(line) ? "as this run began" : "to fit into memory")}: {line}");
        _say($"planned peak memory {MemorySize.Format(plan.PeakBytes)} on {_device.Name}");
        return plan;
    }

    private void Show(TrainingProgress progress)
    {
        if (progress.EvalLoss is { } evalLoss) _say($"step {progress.State.Step}: evaluation loss {evalLoss:F4}");
        if (progress.State.Step % _run.Configuration.LoggingSteps != 0 && progress.State.Step != progress.State.MaxSteps) return;
        _say(FormattableString.Invariant(
            $"step {progress.State.Step}/{progress.State.MaxSteps}  epoch {progress.State.Epoch:F2}  loss {progress.State.Log.Last(entry => entry.Loss is not null).Loss:F4}  ")
            + FormattableString.Invariant($"norm {progress.Step.GradientNorm:F3}  lr {progress.LearningRate:0.0e-0}  {progress.TokensPerSecond:F0} tok/s  {progress.SecondsLeft:F0} s left"));
    }

    private string HashOfModel(string folder)
    {
        using CheckpointFolder model = CheckpointFolder.Open(folder, _device);
        return model.Fingerprint();
    }

    private void WritePassport(int steps, double seconds)
    {
        var passport = new RunPassport
        {
            Configuration = _configuration,
            BaseModelHash = _modelHash,
            DataHash = _dataHash,
            CodeVersion = typeof(TrainingSession).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion,
            Device = _device.Name,
            PrecisionPath = _device.PrecisionPath,
            Steps = steps,
            Rows = RowCount,
            SkippedRows = _report.Skipped.Count,
            Tokens = _run.State.TokenCount,
            Seconds = seconds,
            PeakMemoryPlannedBytes = _plan.PeakBytes,
            PeakMemoryMeasuredBytes = _device.PeakAllocatedBytes,
        };
        passport.Write(_configuration.OutputDir);
    }
}
