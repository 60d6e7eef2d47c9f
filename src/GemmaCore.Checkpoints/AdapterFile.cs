using System.Runtime.InteropServices;
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
public sealed record AdapterTensor(string ModulePath, TensorView A, TensorView B);

/// <summary>A PEFT adapter folder. Views borrow the mapped file: keep it open while they are used.</summary>
public sealed class AdapterFile : IDisposable
{
    private const string ConfigName = "adapter_config.json", WeightsName = "adapter_model.safetensors", Prefix = "base_model.model.";

    private readonly SafetensorsFile _file;
    private readonly Dictionary<string, AdapterPair> _pairs = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorView> _saved = new(StringComparer.Ordinal);

    private AdapterFile(AdapterConfig config, SafetensorsFile file) => (Config, _file) = (config, file);

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
        if (!File.Exists(weights) && File.Exists(Path.Combine(folder, "adapter_model.bin")))
            throw new CheckpointException($"{folder}: adapter_model.bin is a Python pickle and is not read; save the adapter again with safe_serialization");
        AdapterConfig parsed = AdapterConfig.Parse(File.ReadAllBytes(config), config);
        var adapter = new AdapterFile(parsed, SafetensorsFile.Open(weights, device));
        try
        {
            adapter.Sort(weights);
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>Writes a folder that PEFT loads unchanged: weights first, then the configuration.</summary>
    public static void Save(string folder, AdapterConfig config, IReadOnlyList<AdapterTensor> layers, NameGeneration layout)
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
        }

        SafetensorsWriter.Write(Path.Combine(folder, WeightsName), tensors);
        AtomicFile.WriteAllText(Path.Combine(folder, ConfigName), config.Format(layers.Select(layer => layer.ModulePath)));
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static WritableTensor Writable(string name, TensorView view) =>
        new(name, DType.F32, view.Shape, stream => stream.Write(MemoryMarshal.AsBytes<float>(view.ToFloats())));

    private void Sort(string path)
    {
        var parts = new Dictionary<string, Dictionary<string, TensorView>>(StringComparer.Ordinal);
        foreach (string stored in _file.Header.Tensors.Keys)
        {
            string name = stored.StartsWith(Prefix, StringComparison.Ordinal) ? stored[Prefix.Length..] : stored;
            if (name.Contains(".lora_embedding_", StringComparison.Ordinal))
                throw new CheckpointException($"{path}: '{stored}': adapters on embeddings are not supported");
            int cut = Cut(name, out string part);
            if (cut < 0)
            {
                if (WeightNames.Canonical(name.Replace(".modules_to_save.default", "", StringComparison.Ordinal)) is { } canonical)
                    _saved[canonical] = _file.View(stored);
                continue;
            }

            string module = WeightNames.Canonical(name[..cut] + ".weight")![..^".weight".Length];
            if (!parts.TryGetValue(module, out Dictionary<string, TensorView>? pair)) parts.Add(module, pair = []);
            if (!pair.TryAdd(part, _file.View(stored))) throw new CheckpointException($"{path}: '{stored}' and another tensor are the same {part} of {module}");
        }

        foreach ((string module, Dictionary<string, TensorView> pair) in parts) _pairs.Add(module, Pair(path, module, pair));
    }

    private AdapterPair Pair(string path, string module, Dictionary<string, TensorView> parts)
    {
        if (!parts.TryGetValue("A", out TensorView a) || !parts.TryGetValue("B", out TensorView b))
            throw new CheckpointException($"{path}: {module} has only one of lora_A and lora_B");
        int rank = Config.RankFor(module);
        if (a.Shape.Rank != 2 || b.Shape.Rank != 2 || a.Shape[0] != rank || b.Shape[1] != rank)
            throw new CheckpointException($"{path}: {module}: lora_A {a.Shape} and lora_B {b.Shape} do not have rank {rank}, which {ConfigName} gives");
        if (!a.DType.IsFloat() || !b.DType.IsFloat()) throw new CheckpointException($"{path}: {module}: expected floating-point tensors, got {a.DType} and {b.DType}");
        TensorView magnitude = parts.GetValueOrDefault("M");
        if (magnitude.IsEmpty == Config.UseDora)
            throw new CheckpointException($"{path}: {module}: use_dora is {Config.UseDora}, but there is {(magnitude.IsEmpty ? "no" : "a")} magnitude vector");
        return new AdapterPair(a, b, magnitude);
    }

    private static int Cut(string name, out string part)
    {
        foreach ((string marker, string kind) in ((string, string)[])[(".lora_A.", "A"), (".lora_B.", "B"), (".lora_magnitude_vector", "M")])
        {
            int at = name.IndexOf(marker, StringComparison.Ordinal);
            if (at < 0) continue;
            part = kind;
            return at;
        }

        part = "";
        return -1;
    }
}
