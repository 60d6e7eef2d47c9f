using System.Diagnostics;
using System.Reflection;
using GemmaCore.Checkpoints;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Training;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.RunFiles;

namespace GemmaCore.Cli;

/// <summary>From a configuration to a finished run: loads model and data, shows progress, writes plot and passport.</summary>
internal sealed class TrainingSession : IDisposable
{
    private readonly TrainingConfiguration _configuration;
    private readonly Device _device;
    private readonly LanguageModel _model;
    private readonly LoraAdapter _adapter;
    private readonly LoraTrainer _trainer;
    private readonly TrainingRun _run;
    private readonly RowReport _report;
    private readonly string _dataHash;
    private readonly Action<string> _say;

    private TrainingSession(TrainingConfiguration configuration, Device device, Action<string> say)
    {
        (_configuration, _device, _say) = (configuration, device, say);
        string folder = ModelLocation.Resolve(configuration.ModelNameOrPath);
        _model = ModelFolder.Load(folder, _device, FormatOf(configuration), ModelOptions.HeadFormatOf(configuration.QuantizeHead));
        _adapter = configuration.AdapterNameOrPath is { } start
            ? LoraAdapter.LoadTrainable(start, _model, (float)configuration.LoraDropout)
            : LoraAdapter.Create(_model, NewAdapter(configuration), (ulong)configuration.Seed);
        long parameters = _adapter.Parameters.Sum(parameter => parameter.Value.Shape.ElementCount);
        say($"adapter on {_adapter.LayerCount} layers, {parameters:N0} parameters");
        var optimizer = new AdamW(
            _adapter.Parameters, (float)configuration.AdamBeta1, (float)configuration.AdamBeta2, (float)configuration.AdamEpsilon, (float)configuration.WeightDecay,
            configuration.Optim == "adamw_8bit");
        _trainer = new LoraTrainer(_model, _adapter, optimizer, (ulong)configuration.Seed, configuration.CacheImageFeatures ? 1L << 30 : 0)
        {
            GradientCheckpointing = configuration.GradientCheckpointing,
            MaxGradientNorm = (float)configuration.MaxGradNorm,
            Reduction = configuration.LossReduction,
        };
        _report = new RowReport(configuration.SkipBadRows);
        var encoder = new ExampleEncoder(PromptEncoder.Load(folder), configuration.MaxLength, configuration.AnswersOnly);
        (IReadOnlyList<TrainingExample> rows, IReadOnlyList<TrainingExample> evaluationRows) = Dataset.Open(
            configuration with { Dataset = Located(configuration.Dataset), EvalDataset = configuration.EvalDataset is { } other ? Located(other) : null }, _report);
        var data = new EncodedDataset(rows, encoder, _report);
        EncodedDataset? evaluation = configuration.Evaluates ? new EncodedDataset(evaluationRows, encoder, _report) : null;
        (RowCount, _dataHash) = (data.Count, RunPassport.HashOf(rows));
        _run = new TrainingRun(configuration, _trainer, _adapter, data, evaluation);
        say($"{data.Count} rows, {_run.State.MaxSteps} steps of {configuration.PerDeviceTrainBatchSize} x {configuration.GradientAccumulationSteps}");
    }

    public RunState State => _run.State;

    public int RowCount { get; }

    /// <summary>How the base holds its linear layers, e.g. <c>bf16</c> or <c>nf4</c>.</summary>
    public string WeightFormat => _model.Linears[0].Weight.Format;

    public string DeviceName => _device.Name;

    public string PrecisionPath => _device.PrecisionPath;

    /// <summary>Loads everything; the session owns the device.</summary>
    public static TrainingSession Open(TrainingConfiguration configuration, Device device, Action<string> say)
    {
        try
        {
            return new TrainingSession(configuration, device, say);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    public void Resume(string? checkpoint)
    {
        if (!_run.Resume(checkpoint)) throw new UsageException($"{_configuration.OutputDir}: there is no checkpoint to resume from");
        _say($"resumed at step {_run.State.Step}");
    }

    public void Run(CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        _run.Run(Show, cancellation);
        foreach (string row in _report.Skipped) _say($"left out: {row}");
        LossPlot.Write(Path.Combine(_configuration.OutputDir, "training_loss.png"), _run.State.Log);
        WritePassport(Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    public void Dispose()
    {
        _run.Dispose();
        _trainer.Dispose();
        _adapter.Dispose();
        _model.Dispose();
        _device.Dispose();
    }

    private static Models.WeightFormat FormatOf(TrainingConfiguration configuration) => configuration switch
    {
        { LoadIn8Bit: true } => Models.WeightFormat.Int8,
        { LoadIn4Bit: true, Bnb4BitUseDoubleQuant: true } => Models.WeightFormat.Nf4,
        { LoadIn4Bit: true } => Models.WeightFormat.Nf4Plain,
        _ => Models.WeightFormat.AsStored,
    };

    private static AdapterConfig NewAdapter(TrainingConfiguration configuration) => AdapterConfig.ForTraining(
        configuration.ModelNameOrPath, configuration.LoraRank, configuration.LoraAlpha, configuration.LoraDropout, configuration.UseRslora, configuration.TargetModules);

    private static DatasetConfiguration Located(DatasetConfiguration dataset) => dataset with { Path = ModelLocation.ResolveData(dataset.Path) };

    private void Show(TrainingProgress progress)
    {
        if (progress.EvalLoss is { } evalLoss) _say($"step {progress.State.Step}: evaluation loss {evalLoss:F4}");
        if (progress.State.Step % _run.Configuration.LoggingSteps != 0 && progress.State.Step != progress.State.MaxSteps) return;
        _say(FormattableString.Invariant(
            $"step {progress.State.Step}/{progress.State.MaxSteps}  epoch {progress.State.Epoch:F2}  loss {progress.State.Log.Last(entry => entry.Loss is not null).Loss:F4}  ")
            + FormattableString.Invariant($"norm {progress.Step.GradientNorm:F3}  lr {progress.LearningRate:0.0e-0}  {progress.TokensPerSecond:F0} tok/s  {progress.SecondsLeft:F0} s left"));
    }

    private void WritePassport(double seconds)
    {
        using CheckpointFolder model = CheckpointFolder.Open(ModelLocation.Resolve(_configuration.ModelNameOrPath), _device);
        var passport = new RunPassport
        {
            Configuration = _configuration,
            BaseModelHash = model.Fingerprint(),
            DataHash = _dataHash,
            CodeVersion = typeof(TrainingSession).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion,
            Device = _device.Name,
            PrecisionPath = _device.PrecisionPath,
            Steps = _run.State.Step,
            Rows = RowCount,
            SkippedRows = _report.Skipped.Count,
            Tokens = _run.State.TokenCount,
            Seconds = seconds,
            PeakMemoryMeasuredBytes = _device.PeakAllocatedBytes,
        };
        passport.Write(_configuration.OutputDir);
    }
}
