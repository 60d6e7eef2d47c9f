using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints;

/// <summary>The two matrices of one adapted layer, and the magnitudes of a DoRA adapter.</summary>
/// <param name="A">[R, in].</param>
/// <param name="B">[out, R].</param>
/// <param name="Magnitude">[out], or default.</param>
public sealed record AdapterPair(TensorView A, TensorView B, TensorView Magnitude);

/// <summary>One layer to be saved.</summary>
/// <param name="ModulePath">Canonical path.</param>
/// <param name="A">[R, in] f32.</param>
/// <param name="B">[out, R] f32.</param>
/// <param name="Magnitude">[out] f32 with <c>use_dora</c>, else default.</param>
public sealed record AdapterTensor(string ModulePath, TensorView A, TensorView B, TensorView Magnitude = default);

/// <summary>A PEFT adapter folder. Views borrow the mapped file: keep it open while they are used.</summary>
public sealed class AdapterFile : IDisposable
{
    private const string ConfigName = "adapter_config.json", WeightsName = "adapter_model.safetensors", Prefix = "base_model.model.";

    private static readonly (string Ending, Part Part)[] Endings =
    [
        (".lora_A.weight", Part.A), (".lora_A.default.weight", Part.A), (".lora_B.weight", Part.B), (".lora_B.default.weight", Part.B),
        (".lora_magnitude_vector", Part.Magnitude), (".lora_magnitude_vector.weight", Part.Magnitude),
        (".lora_magnitude_vector.default", Part.Magnitude), (".lora_magnitude_vector.default.weight", Part.Magnitude),
    ];

    private readonly SafetensorsFile _file;
    private readonly Dictionary<string, AdapterPair> _pairs = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorView> _saved = new(StringComparer.Ordinal);

    private AdapterFile(AdapterConfig config, SafetensorsFile file) => (Config, _file) = (config, file);

    private enum Part { A, B, Magnitude }

    /// <summary>The configuration.</summary>
    public AdapterConfig Config { get; }

    /// <summary>Adapted layers by canonical module path.</summary>
    public IReadOnlyDictionary<string, AdapterPair> Pairs => _pairs;

    /// <summary>Trained copies (<c>modules_to_save</c>) by canonical tensor name.</summary>
    public IReadOnlyDictionary<string, TensorView> SavedModules => _saved;

    /// <summary>Tensors in the file.</summary>
    public int TensorCount => _file.Header.Tensors.Count;

    /// <summary>Opens a folder.</summary>
    /// <exception cref="CheckpointException">A file is missing or unsound, or tensors do not pair up.</exception>
    public static AdapterFile Load(string folder, Device device)
    {
        string config = Path.Combine(folder, ConfigName), weights = Path.Combine(folder, WeightsName);
        if (!File.Exists(config)) throw new CheckpointException($"{config}: not found; an adapter folder needs {ConfigName} and {WeightsName}");
        if (!File.Exists(weights) && ForeignCheckpoint.Complaint(folder) is { } complaint) throw new CheckpointException(complaint);
        AdapterConfig parsed = AdapterConfig.Parse(Read(config), config);
        var adapter = new AdapterFile(parsed, SafetensorsFile.Open(weights, device));
        try
        {
            adapter.Sort(weights);
            if (adapter.TensorCount == 0) throw new CheckpointException($"{weights}: holds no tensors; was the adapter saved before its weights were gathered?");
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>Writes a folder that PEFT loads unchanged: weights first, then the configuration.</summary>
    /// <param name="folder">Created if needed.</param>
    /// <param name="config">The configuration that the tensors were made under.</param>
    /// <param name="layers">Low-rank pairs, with their magnitudes when the configuration says <c>use_dora</c>.</param>
    /// <param name="layout">Spelling of module paths.</param>
    /// <param name="savedModules">Trained copies (<c>modules_to_save</c>) by canonical tensor name, in any type; null for none.</param>
    public static void Save(
        string folder,
        AdapterConfig config,
        IReadOnlyList<AdapterTensor> layers,
        NameGeneration layout,
        IReadOnlyDictionary<string, TensorView>? savedModules = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(layers);
        Directory.CreateDirectory(folder);
        var tensors = new List<WritableTensor>();
        foreach (AdapterTensor layer in layers)
        {
            string path = Prefix + WeightNames.ToGeneration(layer.ModulePath, layout);
            tensors.Add(Writable(path + ".lora_A.weight", layer.A));
            tensors.Add(Writable(path + ".lora_B.weight", layer.B));
            if (config.UseDora) tensors.Add(Writable(path + ".lora_magnitude_vector", layer.Magnitude));
        }

        foreach ((string name, TensorView copy) in savedModules ?? new Dictionary<string, TensorView>())
            tensors.Add(WritableTensor.Of(Prefix + WeightNames.ToGeneration(name, layout), copy));
        SafetensorsWriter.Write(Path.Combine(folder, WeightsName), tensors);
        AtomicFile.WriteAllText(Path.Combine(folder, ConfigName), config.Format(layers.Select(layer => layer.ModulePath)));
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static byte[] Read(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: cannot be read: {error.Message}", error);
        }
    }

    private static WritableTensor Writable(string name, TensorView view) => view.DType == DType.F32
        ? WritableTensor.Of(name, view)
        : throw new ArgumentException($"{name}: adapters are saved as F32, got {view}");

    private void Sort(string path)
    {
        var parts = new Dictionary<string, Dictionary<Part, TensorView>>(StringComparer.Ordinal);
        foreach (string stored in _file.Header.Tensors.Keys)
        {
            string name = stored.StartsWith(Prefix, StringComparison.Ordinal) ? stored[Prefix.Length..] : stored;
            TensorView view = FloatView(path, stored);
            if (Split(name, out string module) is not { } part)
            {
                if (name.Contains(".lora_", StringComparison.Ordinal))
                    throw new CheckpointException($"{path}: '{stored}' is not supported; expected lora_A.weight, lora_B.weight or lora_magnitude_vector of a linear layer");
                // A name that is otherwise ignored stays as it is, so that the model reports it as one it has no use for.
                string plain = name.Replace(".modules_to_save.default.", ".", StringComparison.Ordinal);
                if (!_saved.TryAdd(WeightNames.Canonical(plain) ?? plain, view)) throw new CheckpointException($"{path}: '{stored}' is there twice under different spellings");
                continue;
            }

            module = WeightNames.Canonical(module + ".weight") is { } canonical ? canonical[..^".weight".Length] : module;
            if (!parts.TryGetValue(module, out Dictionary<Part, TensorView>? pair)) parts.Add(module, pair = []);
            if (!pair.TryAdd(part, view)) throw new CheckpointException($"{path}: '{stored}' and another tensor are the same matrix of {module}");
        }

        foreach ((string module, Dictionary<Part, TensorView> pair) in parts) _pairs.Add(module, Pair(path, module, pair));
    }

    private TensorView FloatView(string path, string stored)
    {
        TensorView view = _file.View(stored);
        if (!view.DType.IsFloat()) throw new CheckpointException($"{path}: '{stored}' is {view.DType}, expected F32, F16 or BF16");
        long bad = FiniteCheck.FirstNonFinite(view);
        return bad < 0 ? view : throw new CheckpointException($"{path}: '{stored}' holds NaN or infinity at element {bad}");
    }

    private AdapterPair Pair(string path, string module, Dictionary<Part, TensorView> parts)
    {
        if (!parts.TryGetValue(Part.A, out TensorView a) || !parts.TryGetValue(Part.B, out TensorView b))
            throw new CheckpointException($"{path}: {module}: lora_A and lora_B are not both there");
        int rank = Config.RankFor(module);
        if (a.Shape.Rank != 2 || b.Shape.Rank != 2 || a.Shape[0] != rank || b.Shape[1] != rank)
            throw new CheckpointException($"{path}: {module}: lora_A {a.Shape} and lora_B {b.Shape} do not have rank {rank}, which {ConfigName} gives");
        TensorView magnitude = parts.GetValueOrDefault(Part.Magnitude);
        if (magnitude.IsEmpty == Config.UseDora)
            throw new CheckpointException($"{path}: {module}: use_dora is {Config.UseDora}, but there is {(magnitude.IsEmpty ? "no" : "a")} magnitude vector");
        if (!magnitude.IsEmpty && magnitude.Shape.ElementCount != b.Shape[0])
            throw new CheckpointException($"{path}: {module}: lora_magnitude_vector is {magnitude.Shape}, expected [{b.Shape[0]}]");
        return new AdapterPair(a, b, magnitude);
    }

    // Saved files have no adapter name in their keys; state dictionaries that were dumped directly have "default".
    private static Part? Split(string name, out string module)
    {
        foreach ((string ending, Part part) in Endings)
        {
            if (!name.EndsWith(ending, StringComparison.Ordinal)) continue;
            module = name[..^ending.Length];
            return part;
        }

        module = "";
        return null;
    }
}
