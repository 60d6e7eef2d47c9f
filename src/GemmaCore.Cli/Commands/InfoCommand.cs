using System.CommandLine;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore info</c>: what a checkpoint or adapter is.</summary>
internal static class InfoCommand
{
    public static Command Create()
    {
        var command = new Command("info", """
            Describe a model folder or an adapter folder.

            Examples:
              gemmacore info demo
              gemmacore info demo --check --json
            """);
        var model = new Argument<string>("MODEL") { Description = "model folder, adapter folder, hub id in the cache, or demo" };
        var json = new Option<bool>("--json") { Description = "print one JSON document" };
        var check = new Option<bool>("--check") { Description = "read every weight and refuse NaN and infinity" };
        command.Add(model);
        command.Add(check);
        command.Add(json);
        command.SetAction(parsed =>
        {
            string folder = ModelLocation.Resolve(parsed.GetValue(model)!);
            using var device = new CpuDevice(1);
            bool finite = parsed.GetValue(check);
            JsonObject report = File.Exists(Path.Combine(folder, "adapter_config.json")) ? Adapter(folder, device) : Model(folder, device, finite);
            if (parsed.GetValue(json)) Console.WriteLine(report.ToJsonString());
            else foreach ((string name, JsonNode? value) in report) LabelledLine.Write(name, Show(value));
            return 0;
        });
        return command;
    }

    private static JsonObject Model(string folder, CpuDevice device, bool checkFinite)
    {
        using LanguageModel model = ModelFolder.Load(folder, device);
        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder, device);
        if (checkFinite) checkpoint.CheckFinite();
        List<StoredTensor> tensors = [.. checkpoint.Files.SelectMany(file => file.Header.Tensors.Values)];
        return new JsonObject
        {
            ["folder"] = folder,
            ["architecture"] = model.GetType().Name,
            ["parameters"] = ParameterCount.Of(model, tensors),
            ["dtypes"] = string.Join(' ', tensors.Select(tensor => tensor.StoredType).Distinct()),
            ["bytes"] = checkpoint.TotalBytes,
            ["bytes_by_part"] = new JsonObject(tensors.GroupBy(Part).Select(part =>
                KeyValuePair.Create(part.Key, (JsonNode?)part.Sum(tensor => tensor.End - tensor.Begin)))),
            ["layers"] = model.Layout.LayerCount,
            ["sliding_layers"] = model.Layout.Windows.Count(window => window > 0),
            ["window"] = model.Layout.Windows.Max(),
            ["hidden_size"] = model.Layout.HiddenSize,
            ["heads"] = $"{model.Layout.QueryHeadCount} query, {model.Layout.KvHeadCount} key/value, of {model.Layout.HeadDim}",
            ["vocabulary"] = model.Layout.VocabularySize,
            ["positions"] = model.Layout.MaxPositions,
            ["image"] = model.ImageSize > 0 ? $"{model.ImageSize} px, {model.TokensPerImage} tokens" : "none",
            ["linear_layers"] = model.Linears.Count,
            ["linear_weights"] = string.Join(' ', model.Linears.Select(layer => layer.Weight.Format).Distinct()),
            ["head_weights"] = model.Head.Format,
        };
    }

    private static JsonObject Adapter(string folder, CpuDevice device)
    {
        using AdapterFile adapter = AdapterFile.Load(folder, device);
        return new JsonObject
        {
            ["folder"] = folder,
            ["base"] = adapter.Config.BaseModelNameOrPath,
            ["rank"] = adapter.Config.R,
            ["alpha"] = adapter.Config.LoraAlpha,
            ["rslora"] = adapter.Config.UseRslora,
            ["dora"] = adapter.Config.UseDora,
            ["layers"] = adapter.Pairs.Count,
            ["parameters"] = adapter.Pairs.Values.Sum(pair => pair.A.Shape.ElementCount + pair.B.Shape.ElementCount),
            ["saved_modules"] = adapter.SavedModules.Count,
            ["tensors"] = adapter.TensorCount,
        };
    }

    private static string Part(StoredTensor tensor)
    {
        string name = WeightNames.Canonical(tensor.Name) ?? "";
        if (name.Contains("vision_tower", StringComparison.Ordinal)) return "vision";
        if (name.Contains("multi_modal_projector", StringComparison.Ordinal)) return "projector";
        return name.Contains("embed_tokens", StringComparison.Ordinal) || name.StartsWith("lm_head", StringComparison.Ordinal) ? "embeddings" : "text";
    }

    private static string Show(JsonNode? value) =>
        value is JsonObject map ? string.Join(", ", map.Select(item => $"{item.Key} {item.Value}")) : value?.ToString() ?? "";
}
