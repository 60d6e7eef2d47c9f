using GemmaCore.Checkpoints;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Planning;

/// <summary>
/// What a configuration puts on a device, in the order in which it goes there: features of pictures (after which the vision tower leaves), adapter, optimiser,
/// memory of a step. A run and the rehearsal that plans its memory go through the same stages, so the plan cannot forget a part.
/// </summary>
public sealed class TrainingStage : IDisposable
{
    // Host memory for features of pictures; beyond it they are kept in a file.
    private const long FeatureBytes = 1L << 30;

    private readonly TrainingConfiguration _configuration;
    private readonly LanguageModel _model;
    private readonly AdapterConfig? _newAdapter;
    private LoraAdapter? _adapter;
    private ImageFeatureCache? _features;
    private LoraTrainer? _trainer;

    /// <summary>Begins; an adapter to go on from is put on the model.</summary>
    /// <exception cref="CheckpointException">The adapter does not fit the model, or its targets match none of the model's layers.</exception>
    public TrainingStage(TrainingConfiguration configuration, LanguageModel model)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(model);
        (_configuration, _model) = (configuration, model);
        if (configuration.AdapterNameOrPath is { } start)
        {
            _adapter = LoraAdapter.LoadTrainable(start, model, (float)configuration.LoraDropout);
        }
        else
        {
            _newAdapter = AdapterConfig.ForTraining(
                configuration.ModelNameOrPath, configuration.LoraRank, configuration.LoraAlpha, configuration.LoraDropout, configuration.UseRslora,
                configuration.TargetModules);
        }

        bool adaptsVision = _adapter?.AdaptsVision ?? model.Linears.Any(layer => LoraAdapter.IsVision(layer) && _newAdapter!.Targets(layer.Path));
        KeepsFeatures = configuration.CacheImageFeatures && !adaptsVision && model.TokensPerImage > 0;
        // Without pictures to encode there is nothing that a new adapter would have to wait for.
        if (!KeepsFeatures) _ = Adapter;
    }

    /// <summary>The adapter; a new one is made when it is first asked for.</summary>
    public LoraAdapter Adapter => _adapter ??= LoraAdapter.Create(_model, _newAdapter!, (ulong)_configuration.Seed);

    /// <summary>True when every picture can be encoded before training starts: the tower is frozen, and nothing forbids keeping its features.</summary>
    public bool KeepsFeatures { get; }

    /// <summary>
    /// Encodes all pictures of the run and takes the vision tower from the device. Does nothing when the tower is needed later (<see cref="KeepsFeatures"/>).
    /// </summary>
    /// <param name="showAll">Calls what it is given with every sample of the run, pixels included.</param>
    /// <returns>Number of pictures.</returns>
    public int EncodePictures(Action<Action<EncodedExample>> showAll)
    {
        ArgumentNullException.ThrowIfNull(showAll);
        if (!KeepsFeatures) return 0;
        _features = new ImageFeatureCache(_model, FeatureBytes);
        using (var arena = new Arena(_model.Device)) showAll(example => _features.Add(example, arena));
        _model.ReleaseVision();
        _model.Device.ReserveTemporaries(0);
        return _features.Count;
    }

    /// <summary>The optimiser, and the trainer with the memory that was planned for it.</summary>
    /// <param name="memory">Null to take memory as it is needed.</param>
    /// <param name="onSmallerParts">See <see cref="LoraTrainer.OnSmallerParts"/>.</param>
    public LoraTrainer Start(StepMemory? memory, Action<int>? onSmallerParts)
    {
        _trainer = new LoraTrainer(_model, Adapter, NewOptimizer(), (ulong)_configuration.Seed, _features)
        {
            GradientCheckpointing = _configuration.GradientCheckpointing,
            MaxGradientNorm = (float)_configuration.MaxGradNorm,
            Reduction = _configuration.LossReduction,
            SamplesAtOnce = _configuration.SamplesAtOnce,
            LossChunkRows = _configuration.LossChunkRows,
            OnSmallerParts = onSmallerParts,
        };
        if (memory is not null) _trainer.Reserve(memory);
        return _trainer;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_trainer is null) _features?.Dispose();
        _trainer?.Dispose();
        _adapter?.Dispose();
    }

    private AdamW NewOptimizer() => new(
        Adapter.Parameters, (float)_configuration.AdamBeta1, (float)_configuration.AdamBeta2, (float)_configuration.AdamEpsilon, (float)_configuration.WeightDecay,
        _configuration.Optim == TrainingConfiguration.AdamW8Bit);
}
