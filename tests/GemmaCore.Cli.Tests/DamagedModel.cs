using System.Buffers.Binary;
using System.Text.Json.Nodes;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

/// <summary>A copy of the embedded model with one thing wrong. <see cref="Tensor"/> is the one that suffers.</summary>
internal static class DamagedModel
{
    public const string FirstShard = "model-00001-of-00002.safetensors";

    public const string Tensor = "language_model.model.layers.0.mlp.down_proj.weight";

    private const string Neighbour = "language_model.model.layers.0.input_layernorm.weight";

    /// <summary>Copies the model to <c>model</c> below a folder.</summary>
    public static string Copy(TemporaryFolder folder)
    {
        string model = folder.File("model");
        Directory.CreateDirectory(model);
        foreach (string file in Directory.EnumerateFiles(Goldens.DemoPath("model"))) File.Copy(file, Path.Combine(model, Path.GetFileName(file)));
        return model;
    }

    /// <summary>Applies a damage by name.</summary>
    public static void Damage(string model, string damage)
    {
        string shard = Path.Combine(model, FirstShard);
        switch (damage)
        {
            case "missing shard":
                File.Delete(shard);
                break;
            case "truncated shard":
                using (FileStream file = File.OpenWrite(shard)) file.SetLength(file.Length / 2);
                break;
            case "header larger than the file":
                using (FileStream file = File.OpenWrite(shard)) file.Write(BitConverter.GetBytes(50_000_000L));
                break;
            case "overlapping offsets":
                EditHeader(shard, header => header[Tensor]!["data_offsets"] = Moved(header, -128));
                break;
            case "offsets out of range":
                EditHeader(shard, header => header[Tensor]!["data_offsets"] = Moved(header, 1L << 40));
                break;
            case "wrong dtype":
                EditHeader(shard, Halve);
                break;
            case "dtype and offsets at odds":
                EditHeader(shard, header => header[Neighbour]!["dtype"] = "F32");
                break;
            case "wrong shape":
                EditHeader(shard, header => header[Tensor]!["shape"] = new JsonArray(384, 128));
                break;
            case "NaN":
                long at = 0;
                JsonObject read = EditHeader(shard, header => at = header[Tensor]!["data_offsets"]![0]!.GetValue<long>());
                using (FileStream file = File.OpenWrite(shard))
                {
                    file.Position = file.Length - DataLength(read) + at + 2 * 5;
                    file.Write([0xC0, 0x7F]); // bf16 NaN, element 5
                }

                break;
            case "missing tokenizer":
                foreach (string file in Directory.EnumerateFiles(model, "tokenizer*")) File.Delete(file);
                break;
            case "absurd hidden size":
                EditConfig(model, config => config["text_config"]!["hidden_size"] = 2_000_000_000);
                break;
            case "absurd number of layers":
                EditConfig(model, config => config["text_config"]!["num_hidden_layers"] = 1_000_000);
                break;
            case "absurd vocabulary":
                EditConfig(model, config => config["text_config"]!["vocab_size"] = -1);
                break;
            case "config that is no JSON":
                File.WriteAllText(Path.Combine(model, "config.json"), "{ hidden_size: ");
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(damage), damage, "unknown damage");
        }
    }

    // The same shape in single bytes; a filler keeps the file without holes.
    private static void Halve(JsonObject header)
    {
        JsonArray offsets = header[Tensor]!["data_offsets"]!.AsArray();
        (long begin, long end) = (offsets[0]!.GetValue<long>(), offsets[1]!.GetValue<long>());
        long middle = (begin + end) / 2;
        (header[Tensor]!["dtype"], header[Tensor]!["data_offsets"]) = ("I8", new JsonArray(begin, middle));
        header["filler"] = new JsonObject { ["dtype"] = "I8", ["shape"] = new JsonArray(end - middle), ["data_offsets"] = new JsonArray(middle, end) };
    }

    private static JsonArray Moved(JsonObject header, long by)
    {
        JsonArray offsets = header[Tensor]!["data_offsets"]!.AsArray();
        return new JsonArray(offsets[0]!.GetValue<long>() + by, offsets[1]!.GetValue<long>() + by);
    }

    private static long DataLength(JsonObject header) =>
        header.Where(entry => entry.Key != "__metadata__").Max(entry => entry.Value!["data_offsets"]![1]!.GetValue<long>());

    private static JsonObject EditHeader(string file, Action<JsonObject> edit)
    {
        byte[] bytes = File.ReadAllBytes(file);
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        JsonObject header = JsonNode.Parse(bytes.AsSpan(8, length))!.AsObject();
        edit(header);
        byte[] json = System.Text.Encoding.UTF8.GetBytes(header.ToJsonString());
        File.WriteAllBytes(file, [.. BitConverter.GetBytes((long)json.Length), .. json, .. bytes.AsSpan(8 + length)]);
        return header;
    }

    private static void EditConfig(string model, Action<JsonObject> edit)
    {
        string file = Path.Combine(model, "config.json");
        JsonObject config = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
        edit(config);
        File.WriteAllText(file, config.ToJsonString());
    }
}
