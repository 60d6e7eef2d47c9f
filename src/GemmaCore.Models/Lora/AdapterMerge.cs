using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Lora;

/// <summary>
/// Folds an adapter into a full checkpoint: W + s·B·A, computed in f32 and rounded once to the stored type (gemma3.md §9.6); trained copies
/// (<c>modules_to_save</c>) take the place of the base's tensors.
/// </summary>
public static class AdapterMerge
{
    private const int BlockElements = 1 << 22;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, IndentSize = 2 };

    /// <summary>
    /// Writes the merged weights and their <c>config.json</c>. Tensor names and types stay those of the base; other files of the folder are the
    /// caller's to copy. A tied head that the adapter parts from the embeddings becomes a tensor of its own, with <c>tie_word_embeddings</c> false.
    /// </summary>
    /// <param name="model">The loaded base.</param>
    /// <param name="adapter">An adapter attached to it.</param>
    /// <param name="folder">The base's folder.</param>
    /// <param name="destination">Where the merged model goes.</param>
    /// <param name="starting">Called before each tensor; what it throws stops the writing, and the weights written so far are removed.</param>
    /// <exception cref="CheckpointException">The base is quantised, or a merged weight is not finite.</exception>
    public static void Write(LanguageModel model, LoraAdapter adapter, string folder, string destination, Action<WritableTensor>? starting = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(adapter);
        if (model.Linears.FirstOrDefault(linear => linear.Weight is not DenseMatrix) is { } quantised)
            throw new CheckpointException($"{folder}: {quantised.Path} is held in {quantised.Weight.Format}; adapters are merged into the original, dense model");
        if (model.Head is not DenseMatrix { View: var head } || model.Embeddings is not DenseMatrix)
            throw new CheckpointException($"{folder}: embeddings or head are held in int8; adapters are merged into the original, dense model");
        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder, model.Device);
        Dictionary<string, Linear> linears = model.Linears.ToDictionary(linear => linear.Path + ".weight");
        var tensors = new List<WritableTensor>();
        string embeddings = "";
        bool hasHead = false;
        foreach (SafetensorsFile file in checkpoint.Files)
        {
            foreach (StoredTensor stored in file.Header.Tensors.Values)
            {
                TensorView view = file.View(stored.Name);
                string? name = WeightNames.Canonical(stored.Name);
                Linear? linear = name is null ? null : linears.GetValueOrDefault(name);
                TensorView saved = name is null ? default : adapter.SavedCopyOf(name);
                if (name == LanguageModel.EmbeddingsName) embeddings = stored.Name;
                hasHead |= name == LanguageModel.HeadName;
                TensorView source = saved.IsEmpty ? view : saved;
                tensors.Add(new WritableTensor(stored.Name, view.DType, view.Shape, stream => Write(stream, source, view.DType, linear, adapter)));
            }
        }

        bool parted = !hasHead && !(adapter.SavedCopyOf(LanguageModel.HeadName).IsEmpty && adapter.SavedCopyOf(LanguageModel.EmbeddingsName).IsEmpty);
        if (parted)
        {
            DType type = tensors.Single(tensor => tensor.Name == embeddings).DType;
            tensors.Add(new WritableTensor(HeadBeside(embeddings), type, head.Shape, stream => Write(stream, head, type, null, adapter)));
        }

        SafetensorsWriter.WriteCheckpoint(destination, tensors, starting: starting);
        string config = File.ReadAllText(Path.Combine(folder, "config.json"));
        AtomicFile.WriteAllText(Path.Combine(destination, "config.json"), parted ? Untied(config) : config);
    }

    // The first generation keeps the head inside language_model, as transformers before 4.52 wrote it.
    private static string HeadBeside(string embeddings) =>
        embeddings.StartsWith("language_model.model.", StringComparison.Ordinal) ? "language_model." + LanguageModel.HeadName : LanguageModel.HeadName;

    private static string Untied(string config)
    {
        JsonNode root = JsonNode.Parse(config)!;
        root["tie_word_embeddings"] = false;
        if (root["text_config"] is JsonObject text) text["tie_word_embeddings"] = false;
        return root.ToJsonString(Indented) + "\n";
    }

    private static void Write(Stream stream, TensorView source, DType type, Linear? linear, LoraAdapter adapter)
    {
        (LoraWeights Weights, float[]? ColumnScale)? change = linear is null ? null : adapter.Of(linear);
        WriteTensor(stream, source, type, linear?.Path ?? "modules_to_save", change?.Weights, change?.ColumnScale);
    }

    /// <summary>
    /// Writes one tensor as <paramref name="type"/>, changed by the adapter's pair for it, if any. Block after block of rows: a tensor may be larger than an array
    /// can be, and memory stays small.
    /// </summary>
    internal static void WriteTensor(Stream stream, TensorView source, DType type, string what, LoraWeights? change, float[]? rowScale)
    {
        if (change is null && source.DType == type)
        {
            WritableTensor.Of(what, source).Write(stream);
            return;
        }

        float[] a = change?.A.ToFloats() ?? [], b = change?.B.ToFloats() ?? [];
        int rows = source.Shape[0], step = (int)Math.Max(1, BlockElements / Math.Max(1, source.Shape.ElementCount / Math.Max(1, rows)));
        for (int first = 0; first < rows; first += step)
        {
            float[] values = source.Slice(first, Math.Min(step, rows - first)).ToFloats();
            if (change is { } lora) Merge(values, first, lora, a, b, rowScale);
            if (Array.Exists(values, value => !float.IsFinite(value))) throw new CheckpointException($"{what}: the merged weight is not finite");
            stream.Write(Rounded(values, type));
        }
    }

    private static byte[] Rounded(float[] values, DType type)
    {
        if (type == DType.F32) return MemoryMarshal.AsBytes<float>(values).ToArray();
        var halves = new ushort[values.Length];
        for (int i = 0; i < values.Length; i++)
            halves[i] = type == DType.BF16 ? BFloat16.FromSingle(values[i]) : BitConverter.HalfToUInt16Bits((Half)values[i]);
        return MemoryMarshal.AsBytes<ushort>(halves).ToArray();
    }

    // W' = (m/n) ⊙ (W + s·B·A), row by row, for the rows from first on; m/n is 1 without DoRA.
    private static void Merge(float[] weight, int first, LoraWeights lora, float[] a, float[] b, float[]? rowScale)
    {
        int rank = lora.A.Shape[0], inputs = lora.A.Shape[1];
        Parallel.For(0, weight.Length / inputs, row =>
        {
            var delta = new double[inputs];
            for (int r = 0; r < rank; r++)
            {
                double factor = (double)lora.Scale * b[(first + row) * rank + r];
                for (int i = 0; i < inputs; i++) delta[i] += factor * a[r * inputs + i];
            }

            for (int i = 0; i < inputs; i++)
            {
                int at = row * inputs + i;
                weight[at] = (float)((weight[at] + delta[i]) * (rowScale?[first + row] ?? 1));
            }
        });
    }
}
