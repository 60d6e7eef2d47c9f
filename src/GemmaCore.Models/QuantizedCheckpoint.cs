using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// Writes a model whose linear layers are quantised as a pre-quantised Hugging Face checkpoint. NF4 and int8: the tensors and settings that bitsandbytes writes. int8
/// in groups of 128: <c>X.weight</c> i8 [out, in] and <c>X.weight_scale</c> f16 [out, ⌈in/128⌉], named and set as by compressed-tensors.
/// </summary>
public static class QuantizedCheckpoint
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, IndentSize = 2 };

    /// <summary>
    /// Writes weights and <c>config.json</c>. Names keep the base's spelling; embeddings and head are written in 8-bit rows (<c>X.weight</c> i8, <c>X.SCB</c> f32, which only GemmaCore reads) if the model
    /// holds them so; what is neither that nor a linear layer keeps its type; other files of the folder are the
    /// caller's to copy.
    /// </summary>
    /// <param name="model">Loaded from <paramref name="folder"/> in NF4, its magnitudes quantised or not, or int8.</param>
    /// <param name="folder">The base's folder.</param>
    /// <param name="destination">Where the quantised model goes.</param>
    /// <param name="starting">Called before each tensor; what it throws stops the writing, and the weights written so far are removed.</param>
    /// <exception cref="CheckpointException">The base is quantised already.</exception>
    public static void Write(LanguageModel model, string folder, string destination, Action<WritableTensor>? starting = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder, model.Device);
        Dictionary<string, WeightMatrix> matrices = model.Linears.ToDictionary(linear => linear.Path + ".weight", linear => linear.Weight);
        // Embeddings and head stay as they were stored, unless they are held in 8-bit rows.
        if (model.Embeddings is Int8Matrix) matrices[LanguageModel.EmbeddingsName] = model.Embeddings;
        if (model.Head is Int8Matrix) matrices[LanguageModel.HeadName] = model.Head;
        var tensors = new List<WritableTensor>();
        foreach (SafetensorsFile file in checkpoint.Files)
        {
            foreach (StoredTensor stored in file.Header.Tensors.Values)
            {
                TensorView view = file.View(stored.Name);
                string? name = WeightNames.Canonical(stored.Name);
                WeightMatrix? matrix = name is null ? null : matrices.GetValueOrDefault(name);
                if (matrix is not null && (!view.DType.IsFloat() || checkpoint.HoldsCodes(name!))) throw new CheckpointException($"{file.Path}: tensor '{stored.Name}' is quantised already");
                if (matrix is null) tensors.Add(WritableTensor.Of(stored.Name, view));
                else if (matrix is Nf4Matrix nf4) AddNf4(tensors, stored.Name, nf4, view.DType);
                else if (matrix is Int8Matrix int8) AddInt8(tensors, stored.Name, int8);
                else if (matrix is Int8GroupMatrix groups)
                    tensors.AddRange([WritableTensor.Of(stored.Name, groups.Codes), WritableTensor.Of(stored.Name + StoredCodes.ScaleSuffix, groups.Scales)]);
                else throw new ArgumentException($"'{stored.Name}' is {matrix}; the model must be loaded quantised", nameof(model));
            }
        }

        SafetensorsWriter.WriteCheckpoint(destination, tensors, starting: starting);
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!;
        config["quantization_config"] = model.Linears[0].Weight is Int8GroupMatrix ? GroupSettings() : Settings(model.Linears[0].Weight as Nf4Matrix);
        AtomicFile.WriteAllText(Path.Combine(destination, "config.json"), config.ToJsonString(Indented) + "\n");
    }

    /// <summary>Whether a folder can be quantised, to be asked before that is done: names alone are read.</summary>
    /// <exception cref="CheckpointException">It is quantised already.</exception>
    public static void RequireDense(string folder, Device device)
    {
        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder, device);
        if (StoredFormat.Of(checkpoint) is not { } held) return;
        throw new CheckpointException($"{folder}: is quantised already, in {StoredFormat.NameOf(held.Format)} (tensor '{held.Tensor}'); name the original model");
    }

    private static void AddNf4(List<WritableTensor> tensors, string name, Nf4Matrix matrix, DType original)
    {
        Nf4Absmax absmax = matrix.Absmax;
        tensors.Add(WritableTensor.Of(name, matrix.Codes.Reshape(new Shape(matrix.Codes.Shape[0], 1))));
        tensors.Add(WritableTensor.Of(name + ".absmax", absmax.Values));
        tensors.Add(Floats(name + ".quant_map", Nf4.Values));
        if (absmax.IsNested)
        {
            tensors.Add(WritableTensor.Of(name + ".nested_absmax", absmax.Scales));
            tensors.Add(WritableTensor.Of(name + ".nested_quant_map", absmax.CodeTable));
        }

        byte[] state = Encoding.UTF8.GetBytes(State(matrix, original));
        tensors.Add(new WritableTensor(name + ".quant_state.bitsandbytes__nf4", DType.U8, new Shape(state.Length), stream => stream.Write(state)));
    }

    private static void AddInt8(List<WritableTensor> tensors, string name, Int8Matrix matrix)
    {
        string module = name[..^".weight".Length];
        tensors.Add(WritableTensor.Of(name, matrix.Codes));
        tensors.Add(WritableTensor.Of(module + ".SCB", matrix.Absmax));
        // 0: rows one after the other, the only layout that is still written.
        tensors.Add(new WritableTensor(module + ".weight_format", DType.U8, new Shape(1), stream => stream.WriteByte(0)));
    }

    private static WritableTensor Floats(string name, IReadOnlyList<float> values)
    {
        float[] copy = [.. values];
        return new WritableTensor(name, DType.F32, new Shape(copy.Length), stream => stream.Write(MemoryMarshal.AsBytes<float>(copy)));
    }

    // Key by key as bitsandbytes serialises its state.
    private static string State(Nf4Matrix matrix, DType original)
    {
        string type = original switch
        {
            DType.BF16 => "bfloat16",
            DType.F16 => "float16",
            _ => "float32",
        };
        string nested = matrix.Absmax.IsNested
            ? string.Create(
                CultureInfo.InvariantCulture,
                $", \"nested_blocksize\": {Nf4.NestedBlockSize}, \"nested_dtype\": \"float32\", \"nested_offset\": {(double)matrix.Absmax.Offset:R}")
            : "";
        return $"{{\"quant_type\": \"nf4\", \"blocksize\": {Nf4.BlockSize}, \"dtype\": \"{type}\", \"shape\": [{matrix.Shape[0]}, {matrix.Shape[1]}]{nested}}}";
    }

    // In the words of compressed-tensors, whose "int-quantized" files name these tensors so.
    private static JsonObject GroupSettings() => new()
    {
        ["quant_method"] = "compressed-tensors",
        ["format"] = "int-quantized",
        ["quantization_status"] = "compressed",
        ["config_groups"] = new JsonObject
        {
            ["group_0"] = new JsonObject
            {
                ["targets"] = new JsonArray("Linear"),
                ["weights"] = new JsonObject
                {
                    ["num_bits"] = 8, ["type"] = "int", ["symmetric"] = true, ["dynamic"] = false, ["strategy"] = "group", ["group_size"] = Int8Group.Size,
                },
            },
        },
        ["ignore"] = new JsonArray("lm_head"),
    };

    private static JsonObject Settings(Nf4Matrix? nf4) => new()
    {
        ["quant_method"] = "bitsandbytes",
        ["load_in_4bit"] = nf4 is not null,
        ["load_in_8bit"] = nf4 is null,
        ["bnb_4bit_quant_type"] = "nf4",
        ["bnb_4bit_use_double_quant"] = nf4?.Absmax.IsNested ?? false,
        ["bnb_4bit_compute_dtype"] = "float32",
        ["bnb_4bit_quant_storage"] = "uint8",
        ["llm_int8_threshold"] = 6.0,
        ["llm_int8_skip_modules"] = new JsonArray("lm_head", "multi_modal_projector"),
    };
}
