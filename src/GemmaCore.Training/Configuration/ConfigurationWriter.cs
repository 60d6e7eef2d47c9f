using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace GemmaCore.Training.Configuration;

/// <summary>Writes a configuration as resolved: every key with its value, in the standard spelling, so that reading it back gives the same run.</summary>
public static class ConfigurationWriter
{
    private static readonly JsonSerializerOptions Snake = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>As a JSON object.</summary>
    public static JsonObject ToJson(TrainingConfiguration configuration)
    {
        JsonObject json = JsonSerializer.SerializeToNode(configuration, Snake)!.AsObject();
        // Two properties are words in the file.
        Replace(json, "skip_bad_rows", "on_bad_row", "skip", "stop");
        Replace(json, "tensor_board", "report_to", "tensorboard", "none");
        return json;
    }

    /// <summary>As a YAML file: one key a line, lists and blocks in flow style.</summary>
    public static string ToYaml(TrainingConfiguration configuration)
    {
        var text = new StringBuilder();
        foreach ((string key, JsonNode? value) in ToJson(configuration)) text.Append(key).Append(": ").Append(value?.ToJsonString() ?? "null").Append('\n');
        return text.ToString();
    }

    private static void Replace(JsonObject json, string property, string key, string whenTrue, string whenFalse)
    {
        bool flag = json[property]!.GetValue<bool>();
        json.Remove(property);
        json[key] = flag ? whenTrue : whenFalse;
    }
}
