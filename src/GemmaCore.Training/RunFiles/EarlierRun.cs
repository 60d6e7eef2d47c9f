using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.RunFiles;

/// <summary>What <see cref="RunPassport"/> says of the run that is to go on: its optimiser and adapter mean nothing on another base or other rows.</summary>
public sealed class EarlierRun
{
    private static readonly string[] FormatKeys = ["load_in_4bit", "load_in_8bit", "bnb_4bit_use_double_quant", "quantize_head"];

    private readonly string _folder, _model, _modelHash, _dataHash;
    private readonly JsonObject _configuration;

    private EarlierRun(string folder, JsonNode passport)
    {
        _folder = folder;
        (_model, _modelHash, _dataHash) = (Text("base_model"), Text("base_model_hash"), Text("data_hash"));
        _configuration = passport["configuration"]!.AsObject();
        Steps = passport["steps"]!.GetValue<int>();

        string Text(string field) => passport[field]!.GetValue<string>();
    }

    /// <summary>Steps it had done when it ended; 0 while it runs and where it was killed.</summary>
    public int Steps { get; }

    /// <summary>The run in a folder; null where none has left a passport.</summary>
    /// <exception cref="CheckpointException">The passport cannot be read.</exception>
    public static EarlierRun? In(string folder)
    {
        string file = Path.Combine(folder, RunPassport.Name);
        if (!File.Exists(file)) return null;
        try
        {
            return new EarlierRun(folder, JsonNode.Parse(File.ReadAllText(file))!);
        }
        catch (Exception error) when (error is JsonException or NullReferenceException or InvalidOperationException or FormatException)
        {
            throw new CheckpointException($"{file}: not written by GemmaCore, so nobody can tell whether --resume goes on with the same base and data; remove it to go on without knowing", error);
        }
    }

    /// <summary>Refuses to go on with another base, other weights or other rows than the run began with.</summary>
    /// <exception cref="ConfigurationException">Something differs; the message names the setting.</exception>
    public void Require(TrainingConfiguration configuration, string modelHash, string dataHash)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        if (modelHash != _modelHash)
        {
            throw Refuse(configuration.ModelNameOrPath == _model
                ? $"with other files in model_name_or_path={_model}"
                : $"with model_name_or_path={_model}, and {configuration.ModelNameOrPath} has other weights");
        }

        JsonObject asked = ConfigurationWriter.ToJson(configuration);
        string[] format = [.. Differences(_configuration, asked, FormatKeys)];
        if (format.Length > 0) throw Refuse($"with {string.Join(" ", format)}");
        if (dataHash == _dataHash) return;
        string[] data = [.. _configuration["dataset"] is JsonObject before ? Differences(before, asked["dataset"]!.AsObject(), before.Select(field => field.Key)).Select(one => "dataset." + one) : [],
            .. Differences(_configuration, asked, ["val_size", "seed", "data_seed"])];
        throw Refuse(data.Length > 0 ? $"on other rows, with {string.Join(" ", data)}" : $"on other rows, which {configuration.Dataset.Path} no longer holds");
    }

    private static IEnumerable<string> Differences(JsonObject before, JsonObject asked, IEnumerable<string> keys) => keys
        .Where(key => !JsonNode.DeepEquals(before[key], asked[key]))
        .Select(key => $"{key}={(before[key] is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : before[key]?.ToJsonString() ?? "null")}");

    private ConfigurationException Refuse(string began) =>
        new($"{_folder}: its run began {began} ({RunPassport.Name}); give --resume the same, or start anew in another output_dir");
}
