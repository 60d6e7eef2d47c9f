using System.Text.Json;
using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints;

/// <summary>
/// The weights in a Hugging Face folder, one file or many, under canonical names (see <see cref="WeightNames"/>). Views borrow the mapped files:
/// keep the folder open while they are used.
/// </summary>
public sealed class CheckpointFolder : IDisposable
{
    /// <summary>What follows the name of a 4-bit tensor in that of its state; the kind of code follows (bitsandbytes).</summary>
    public const string StateKey = ".quant_state.bitsandbytes__";

    private const string IndexName = "model.safetensors.index.json";

    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, (SafetensorsFile File, string StoredName)> _tensors = new(StringComparer.Ordinal);

    private HollowTensors? _hollow;

    private CheckpointFolder(string folder) => Folder = folder;

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>Canonical names of all tensors.</summary>
    public IReadOnlyCollection<string> Names => _tensors.Keys;

    /// <summary>The mapped files.</summary>
    public IReadOnlyList<SafetensorsFile> Files => _files;

    /// <summary>Bytes of all tensors.</summary>
    public long TotalBytes => _files.Sum(file => file.Header.Tensors.Values.Sum(tensor => tensor.End - tensor.Begin));

    /// <summary>Opens a folder with an index and its shards, or with one safetensors file.</summary>
    /// <exception cref="CheckpointException">A file is missing or unsound, or the index and the shards disagree.</exception>
    public static CheckpointFolder Open(string folder, Device device)
    {
        ArgumentNullException.ThrowIfNull(folder);
        if (!Directory.Exists(folder)) throw new CheckpointException($"{folder}: there is no such folder");
        var checkpoint = new CheckpointFolder(folder);
        try
        {
            string index = Path.Combine(folder, IndexName), single = Path.Combine(folder, "model.safetensors");
            // transformers prefers the single file as well.
            if (File.Exists(single)) checkpoint.AddFile(single, device);
            else if (File.Exists(index)) checkpoint.AddShards(index, device);
            else checkpoint.AddOnlyFile(device);
            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>A checkpoint without weights, for plans: any tensor that is required is there, full of zeros, and takes no memory.</summary>
    /// <param name="folder">Name for messages.</param>
    /// <param name="dtype">Element type of every tensor.</param>
    /// <param name="optional">Names of tensors to be found where a model can do without.</param>
    /// <param name="dense">Canonical paths of modules, or parts of them, that a quantised checkpoint leaves dense.</param>
    public static CheckpointFolder Hollow(string folder, DType dtype, IReadOnlyDictionary<string, Shape> optional, IReadOnlyList<string> dense) =>
        new(folder) { _hollow = new HollowTensors(dtype, optional, dense) };

    /// <summary>True for a layer that <see cref="Hollow"/> was told to leave dense; of a checkpoint with weights, the tensors say so themselves.</summary>
    public bool StaysDense(string modulePath) => _hollow?.StaysDense(modulePath) == true;

    /// <summary>The tensor, if the checkpoint holds it.</summary>
    public bool TryGet(string canonicalName, out TensorView view)
    {
        if (_hollow is not null) return _hollow.TryGet(canonicalName, out view);
        bool found = _tensors.TryGetValue(canonicalName, out (SafetensorsFile File, string StoredName) entry);
        view = found ? entry.File.View(entry.StoredName) : default;
        return found;
    }

    /// <summary>A tensor's name as the files spell it, for messages; of one that they lack, as they would.</summary>
    public string Spelled(string canonicalName)
    {
        if (_tensors.TryGetValue(canonicalName, out (SafetensorsFile File, string StoredName) entry)) return entry.StoredName;
        NameGeneration spoken = WeightNames.Generations.MaxBy(generation => _tensors.Count(item => WeightNames.ToGeneration(item.Key, generation) == item.Value.StoredName));
        return WeightNames.ToGeneration(canonicalName, spoken);
    }

    /// <summary>Whether the bytes of a tensor are 4-bit codes, whatever its element type says.</summary>
    public bool HoldsCodes(string canonicalName) => _tensors.ContainsKey(canonicalName + StateKey + "nf4") || _tensors.ContainsKey(canonicalName + StateKey + "fp4");

    /// <summary>A floating-point tensor of the expected shape, where it lies in the file.</summary>
    /// <exception cref="CheckpointException">It is missing (the nearest names are listed), of another shape, or not floating point.</exception>
    public TensorView Require(string canonicalName, Shape expected)
    {
        if (_hollow is not null) return _hollow.Take(expected);
        if (!TryGet(canonicalName, out TensorView view)) throw new CheckpointException($"{Folder}: tensor '{Spelled(canonicalName)}' is missing{Nearest(canonicalName)}");
        string file = _tensors[canonicalName].File.Path;
        if (!view.DType.IsFloat())
        {
            throw new CheckpointException(
                $"{file}: tensor '{Spelled(canonicalName)}' is {view.DType}, expected F32, F16 or BF16; codes would have a quant_state (4 bits) or an SCB (8 bits) beside them");
        }

        return view.Shape == expected ? view : throw new CheckpointException($"{file}: tensor '{Spelled(canonicalName)}' is {view.Shape}, expected {expected}");
    }

    /// <summary>A small floating-point tensor widened to f32; NaN and infinity are refused.</summary>
    public float[] ReadFloats(string canonicalName, Shape expected)
    {
        float[] values = Require(canonicalName, expected).ToFloats();
        int bad = Array.FindIndex(values, value => !float.IsFinite(value));
        return bad < 0
            ? values
            : throw new CheckpointException($"{_tensors[canonicalName].File.Path}: tensor '{Spelled(canonicalName)}' holds {values[bad]} at element {bad}");
    }

    /// <summary>Looks through all floating-point weights for NaN and infinity (reads every byte of the checkpoint).</summary>
    /// <exception cref="CheckpointException">One was found.</exception>
    public void CheckFinite()
    {
        foreach ((string name, (SafetensorsFile file, string stored)) in _tensors)
        {
            if (file.Header.Tensors[stored].DType is not { } dtype || !dtype.IsFloat() || HoldsCodes(name)) continue;
            RequireFinite(name, file.View(stored));
        }
    }

    /// <summary>Looks through a tensor for NaN and infinity.</summary>
    /// <exception cref="CheckpointException">One was found.</exception>
    public void RequireFinite(string canonicalName, TensorView view)
    {
        long bad = FiniteCheck.FirstNonFinite(view);
        if (bad >= 0) throw new CheckpointException($"{_tensors[canonicalName].File.Path}: tensor '{Spelled(canonicalName)}' holds NaN or infinity at element {bad}");
    }

    /// <summary>A hash that names this model in a run's passport, e.g. <c>sha256:9f86…</c>; see <c>Fingerprint</c> for what goes into it.</summary>
    public string Fingerprint() =>
        Checkpoints.Fingerprint.Of(Folder, _tensors.Select(item => (item.Key, item.Value.File, item.Value.File.Header.Tensors[item.Value.StoredName])));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SafetensorsFile file in _files) file.Dispose();
        _files.Clear();
        _tensors.Clear();
        _hollow?.Dispose();
    }

    private void AddShards(string index, Device device)
    {
        Dictionary<string, string> map = ReadIndex(index);
        foreach (string name in map.Values.Distinct(StringComparer.Ordinal))
        {
            // A shard's name comes from a file; it may not lead out of the folder.
            if (name != Path.GetFileName(name)) throw new CheckpointException($"{index}: '{name}' is not a plain file name");
            string path = Path.Combine(Folder, name);
            if (!File.Exists(path)) throw new CheckpointException($"{path}: not found, but {IndexName} lists tensors in it; download the checkpoint again");
            AddFile(path, device);
        }

        Dictionary<string, SafetensorsFile> shards = _files.ToDictionary(file => Path.GetFileName(file.Path), StringComparer.Ordinal);
        foreach ((string tensor, string name) in map)
        {
            SafetensorsFile shard = shards[name];
            if (!shard.Header.Tensors.ContainsKey(tensor)) throw new CheckpointException($"{shard.Path}: tensor '{tensor}' is missing, but {IndexName} says it is there");
        }
    }

    private static Dictionary<string, string> ReadIndex(string index)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(index), new JsonDocumentOptions { AllowDuplicateProperties = false });
            if (document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("weight_map", out JsonElement map) && map.ValueKind == JsonValueKind.Object)
            {
                var result = new Dictionary<string, string>(StringComparer.Ordinal);
                foreach (JsonProperty entry in map.EnumerateObject())
                    result[entry.Name] = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : throw new CheckpointException($"{index}: weight_map.{entry.Name} is not a string");
                if (result.Count > 0) return result;
            }
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // System.Text.Json reports broken escape sequences as InvalidOperationException.
            throw new CheckpointException($"{index}: not valid JSON: {error.Message}", error);
        }

        throw new CheckpointException($"{index}: there is no weight_map of tensor names to files");
    }

    private void AddOnlyFile(Device device)
    {
        string[] files = Directory.GetFiles(Folder, "*.safetensors");
        if (files.Length == 1 && Path.GetFileName(files[0]) != "adapter_model.safetensors") AddFile(files[0], device);
        else if (File.Exists(Path.Combine(Folder, "adapter_config.json")))
            throw new CheckpointException($"{Folder}: this is an adapter, not a model; name the model and give this folder as its adapter");
        else if (ForeignCheckpoint.Complaint(Folder) is { } complaint) throw new CheckpointException(complaint);
        else throw new CheckpointException($"{Folder}: expected model.safetensors or {IndexName}, found {files.Length} safetensors files and neither of them");
    }

    private void AddFile(string path, Device device)
    {
        SafetensorsFile file = SafetensorsFile.Open(path, device);
        _files.Add(file);
        foreach (string stored in file.Header.Tensors.Keys)
        {
            if (WeightNames.Canonical(stored) is not { } canonical) continue;
            if (_tensors.TryGetValue(canonical, out (SafetensorsFile File, string StoredName) other))
                throw new CheckpointException($"{path}: '{stored}' is there twice, as '{other.StoredName}' in {Path.GetFileName(other.File.Path)} too");
            _tensors.Add(canonical, (file, stored));
        }
    }

    private string Nearest(string name)
    {
        IEnumerable<string> near = _tensors.Keys.OrderByDescending(other => CommonEnds(name, other)).Take(3).Select(Spelled);
        return _tensors.Count == 0 ? "" : "; nearest: " + string.Join(", ", near);
    }

    private static int CommonEnds(string a, string b)
    {
        int start = 0, end = 0, shorter = Math.Min(a.Length, b.Length);
        while (start < shorter && a[start] == b[start]) start++;
        while (end < shorter - start && a[^(end + 1)] == b[^(end + 1)]) end++;
        return start + end;
    }
}
