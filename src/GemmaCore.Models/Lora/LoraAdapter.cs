using GemmaCore.Checkpoints;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Lora;

/// <summary>
/// Low-rank adapters attached to a model's linear layers (arXiv:2106.09685): read from a PEFT folder for inference, or created for training.
/// Disposing it takes the adapters off the model again.
/// </summary>
public sealed class LoraAdapter : IDisposable
{
    private readonly List<(Linear Layer, LinearAdapter Adapter)> _attached = [];
    private readonly List<(Linear Layer, WeightMatrix Original)> _replaced = [];
    private readonly List<(string Name, WeightMatrix Original)> _replacedTables = [];
    private readonly List<DeviceBuffer> _owned = [];
    private readonly List<LoraParameter> _parameters = [];
    private readonly Device _device;
    private readonly LanguageModel _model;
    private readonly bool _isChoice;
    private AdapterFile? _file;

    private LoraAdapter(AdapterConfig config, LanguageModel model, bool isChoice = false) =>
        (Config, _model, _device, _isChoice) = (config, model, model.Device, isChoice);

    /// <summary>The PEFT configuration.</summary>
    public AdapterConfig Config { get; }

    /// <summary>Trainable matrices in forward order, A before B; empty for an adapter loaded for inference.</summary>
    public IReadOnlyList<LoraParameter> Parameters => _parameters;

    /// <summary>Tensors of the file that found their layer: "applied k of n" with k = n, or loading fails.</summary>
    public int AppliedTensorCount { get; private set; }

    /// <summary>Number of adapted layers.</summary>
    public int LayerCount => _attached.Count;

    /// <summary>True when an adapted layer belongs to the vision tower, so that image features depend on the adapter.</summary>
    public bool AdaptsVision => _attached.Exists(pair => IsVision(pair.Layer));

    /// <summary>Whether a layer belongs to the vision tower.</summary>
    public static bool IsVision(Linear layer)
    {
        ArgumentNullException.ThrowIfNull(layer);
        return layer.Path.StartsWith("model.vision_tower.", StringComparison.Ordinal);
    }

    /// <summary>Loads a PEFT folder and attaches it for inference.</summary>
    /// <exception cref="CheckpointException">The folder is unsound, or some of its tensors fit no layer of the model.</exception>
    public static LoraAdapter Load(string folder, LanguageModel model) => Load(folder, model, isChoice: false);

    /// <summary>Loads a PEFT folder for the sequences of a batch that choose it (<see cref="TokenBatch.Add"/>); all others do not see it.</summary>
    /// <exception cref="CheckpointException">As for <see cref="Load(string, LanguageModel)"/>; or the adapter replaces or rescales whole weights, which all sequences share.</exception>
    public static LoraAdapter LoadChoice(string folder, LanguageModel model) => Load(folder, model, isChoice: true);

    private static LoraAdapter Load(string folder, LanguageModel model, bool isChoice)
    {
        ArgumentNullException.ThrowIfNull(model);
        AdapterFile file = AdapterFile.Load(folder, model.Device);
        if (isChoice && (file.Config.UseDora || file.SavedModules.Count > 0))
        {
            file.Dispose();
            throw new CheckpointException(
                $"{folder}: an adapter with DoRA or modules_to_save cannot be chosen sequence by sequence; make a model of it first: gemmacore merge MODEL --adapter DIR --out DIR");
        }

        var adapter = new LoraAdapter(file.Config, model, isChoice) { _file = file };
        try
        {
            adapter.AttachFile(folder, file, model, trainable: false, dropout: 0);
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>Loads a PEFT folder and attaches it for further training.</summary>
    public static LoraAdapter LoadTrainable(string folder, LanguageModel model, float dropout)
    {
        ArgumentNullException.ThrowIfNull(model);
        using AdapterFile file = AdapterFile.Load(folder, model.Device);
        var adapter = new LoraAdapter(file.Config, model);
        if (file.Config.UseDora || file.SavedModules.Count > 0)
            throw new CheckpointException($"{folder}: adapters with DoRA or modules_to_save can be used for inference, not for training");
        try
        {
            adapter.AttachFile(folder, file, model, trainable: true, dropout);
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>Creates adapters on every layer the configuration targets: A uniform in ±1/√in, B zero (PEFT's default).</summary>
    /// <param name="model">The model.</param>
    /// <param name="config">Rank, alpha, targets.</param>
    /// <param name="seed">Seed of A; every layer draws from its own stream, named by its path.</param>
    /// <exception cref="CheckpointException">No layer matches the targets, or the configuration asks for DoRA, which is not trained.</exception>
    public static LoraAdapter Create(LanguageModel model, AdapterConfig config, ulong seed)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(config);
        if (config.UseDora) throw new CheckpointException("use_dora: DoRA adapters can be used for inference, not for training");
        Linear[] targets = [.. model.Linears.Where(layer => config.Targets(layer.Path))];
        if (targets.Length == 0)
            throw new CheckpointException($"target_modules match none of the model's {model.Linears.Count} linear layers, e.g. {model.Linears[0].Path}");
        var adapter = new LoraAdapter(config, model);
        try
        {
            foreach (Linear layer in targets)
            {
                int rank = config.RankFor(layer.Path);
                float[] a = model.Device.IsRehearsal ? [] : new float[rank * layer.InputSize];
                ReproducibleWeights.Fill(layer.Path + ".lora_A.weight", seed, 1 / Math.Sqrt(layer.InputSize), 0, 0, a);
                adapter.AttachTrainable(layer, a, [], rank, (float)config.ScaleFor(layer.Path), (float)config.LoraDropout);
            }

            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>Writes a PEFT folder, with the magnitudes and trained copies of an adapter that was loaded with such.</summary>
    /// <param name="folder">Created if needed; another one than the adapter was loaded from.</param>
    /// <param name="layout">Spelling of module paths.</param>
    public void Save(string folder, NameGeneration layout = NameGeneration.Second)
    {
        IEnumerable<AdapterTensor> tensors = _attached.Select(pair => new AdapterTensor(
            pair.Layer.Path, pair.Adapter.Weights.A, pair.Adapter.Weights.B, Config.UseDora ? MagnitudeOf(pair.Layer) : default));
        AdapterFile.Save(folder, Config, [.. tensors], layout, _file?.SavedModules);
    }

    /// <summary>The change of a layer's weight: scale · B·A, [out, in]; null for a layer without adapter.</summary>
    internal (LoraWeights Weights, float[]? ColumnScale)? Of(Linear layer)
    {
        int index = _attached.FindIndex(pair => pair.Layer == layer);
        if (index < 0) return null;
        LinearAdapter adapter = _attached[index].Adapter;
        return (adapter.Weights, adapter.ColumnScale.IsEmpty ? null : adapter.ColumnScale.ToFloats());
    }

    /// <summary>The trained copy of a tensor (<c>modules_to_save</c>) by its canonical name; default when the adapter holds none.</summary>
    internal TensorView SavedCopyOf(string name) => _file?.SavedModules.GetValueOrDefault(name) ?? default;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((Linear layer, LinearAdapter adapter) in _attached)
        {
            layer.Detach(adapter);
            if (_isChoice) layer.DetachChoice(this);
        }

        foreach ((Linear layer, WeightMatrix original) in _replaced) layer.ReplaceWeight(original);
        foreach ((string name, WeightMatrix original) in _replacedTables) _model.TryReplace(name, original, out _);
        foreach (DeviceBuffer buffer in _owned) buffer.Dispose();
        _attached.Clear();
        _replaced.Clear();
        _replacedTables.Clear();
        _owned.Clear();
        _file?.Dispose();
        _file = null;
    }

    private void AttachFile(string folder, AdapterFile file, LanguageModel model, bool trainable, float dropout)
    {
        var missing = new List<string>(file.Pairs.Keys.Concat(file.SavedModules.Keys));
        foreach (Linear layer in model.Linears)
        {
            if (file.SavedModules.TryGetValue(layer.Path + ".weight", out TensorView weight) && missing.Remove(layer.Path + ".weight"))
            {
                _replaced.Add((layer, layer.Weight));
                layer.ReplaceWeight(new DenseMatrix(OnDevice(weight)));
                AppliedTensorCount++;
            }

            if (!file.Pairs.TryGetValue(layer.Path, out AdapterPair? pair)) continue;
            missing.Remove(layer.Path);
            CheckShapes(folder, layer, pair);
            float scale = (float)Config.ScaleFor(layer.Path);
            if (trainable) AttachTrainable(layer, pair.A.ToFloats(), pair.B.ToFloats(), pair.A.Shape[0], scale, dropout);
            else AttachFrozen(layer, pair, scale);
            AppliedTensorCount += pair.Magnitude.IsEmpty ? 2 : 3;
        }

        foreach (string name in missing.Where(name => file.SavedModules.ContainsKey(name)).ToList())
        {
            if (!model.TryReplace(name, new DenseMatrix(OnDevice(file.SavedModules[name])), out WeightMatrix? original)) continue;
            _replacedTables.Add((name, original));
            missing.Remove(name);
            AppliedTensorCount++;
        }

        if (missing.Count == 0)
        {
            RequireTargets(folder, file, model);
            return;
        }

        throw new CheckpointException(
            $"{folder}: applied {AppliedTensorCount} of {file.TensorCount} tensors; these fit no layer of the model: {ModulePaths.List(missing)}; is the adapter for another base model?");
    }

    // The other way round: layers that were trained by the configuration and have nothing in the file. A part without any pair was not there when the adapter was
    // trained: the text class has no tower, though names such as q_proj match its layers too.
    private static void RequireTargets(string folder, AdapterFile file, LanguageModel model)
    {
        string[] absent = [.. model.Linears.GroupBy(IsVision).Where(part => part.Any(layer => file.Pairs.ContainsKey(layer.Path))).SelectMany(part => part)
            .Select(layer => layer.Path).Where(path => !file.Pairs.ContainsKey(path) && file.Config.Targets(path))];
        if (absent.Length > 0)
            throw new CheckpointException($"{folder}: target_modules names {absent.Length} layers whose tensors the file does not hold: {ModulePaths.List(absent)}; is the file whole?");
    }

    private static void CheckShapes(string folder, Linear layer, AdapterPair pair)
    {
        if (pair.A.Shape.Rank == 2 && pair.B.Shape.Rank == 2 && pair.A.Shape[1] == layer.InputSize && pair.B.Shape[0] == layer.OutputSize) return;
        throw new CheckpointException(
            $"{folder}: {layer.Path}: lora_A {pair.A.Shape} and lora_B {pair.B.Shape} do not fit the layer [{layer.OutputSize}, {layer.InputSize}]; "
            + "is the adapter for another base model?");
    }

    private void AttachFrozen(Linear layer, AdapterPair pair, float scale)
    {
        TensorView a = Own(pair.A.Shape, pair.A.ToFloats()), b = Own(pair.B.Shape, pair.B.ToFloats());
        var weights = new LoraWeights { A = a, B = b, Scale = scale };
        TensorView columns = pair.Magnitude.IsEmpty
            ? default
            : Own(new Shape(layer.OutputSize), DoraColumns.Scale(layer.Weight.ToFloats(), weights, pair.Magnitude.ToFloats()));
        Attach(layer, new LinearAdapter(weights, columns));
    }

    // A and B; zeros where nothing is given.
    private void AttachTrainable(Linear layer, float[] a, float[] b, int rank, float scale, float dropout)
    {
        Shape shapeA = new(rank, layer.InputSize), shapeB = new(layer.OutputSize, rank);
        TensorView viewA = a.Length == 0 ? Zeros(shapeA) : Own(shapeA, a), viewB = b.Length == 0 ? Zeros(shapeB) : Own(shapeB, b);
        TensorView gradientA = Zeros(viewA.Shape), gradientB = Zeros(viewB.Shape);
        var weights = new LoraWeights
        {
            A = viewA, B = viewB, GradientA = gradientA, GradientB = gradientB, Scale = scale, Dropout = dropout, Id = _attached.Count,
        };
        Attach(layer, new LinearAdapter(weights, default));
        _parameters.Add(new LoraParameter(layer.Path + ".lora_A.weight", viewA, gradientA));
        _parameters.Add(new LoraParameter(layer.Path + ".lora_B.weight", viewB, gradientB));
    }

    // The layer itself keeps m/n alone; m is in the file.
    private TensorView MagnitudeOf(Linear layer)
    {
        TensorView stored = _file!.Pairs[layer.Path].Magnitude;
        return stored.DType == DType.F32 ? stored : Own(stored.Shape, stored.ToFloats());
    }

    private void Attach(Linear layer, LinearAdapter adapter)
    {
        if (_isChoice) layer.AttachChoice(this, adapter, _model.AdapterRows);
        else layer.Attach(adapter);
        _attached.Add((layer, adapter));
    }

    // The file's own memory on the CPU, a copy of it on a card.
    private TensorView OnDevice(TensorView stored)
    {
        if (_device is CpuDevice) return stored;
        DeviceBuffer buffer = DeviceBuffer.CopyOf(_device, stored);
        _owned.Add(buffer);
        return buffer.View;
    }

    private TensorView Zeros(Shape shape)
    {
        DeviceBuffer buffer = DeviceBuffer.Zeros(_device, shape);
        _owned.Add(buffer);
        return buffer.View;
    }

    private TensorView Own(Shape shape, ReadOnlySpan<float> values)
    {
        DeviceBuffer buffer = DeviceBuffer.Of(_device, shape, values);
        _owned.Add(buffer);
        return buffer.View;
    }
}
