using System.Text.Json.Nodes;

namespace GemmaCore.Models.Tests;

/// <summary>The <c>config.json</c> of a model's folder, to be damaged.</summary>
internal static class ConfigFile
{
    public static void Change(string folder, Action<JsonNode> change)
    {
        string file = Path.Combine(folder, "config.json");
        JsonNode config = JsonNode.Parse(File.ReadAllText(file))!;
        change(config);
        File.WriteAllText(file, config.ToJsonString());
    }
}
