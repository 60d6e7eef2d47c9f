using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using GemmaCore.Testing;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Tests.Configuration;

/// <summary>docs/training.md names every key, and its defaults are the program's.</summary>
public sealed partial class DocumentedKeysTests
{
    private static readonly string Page = File.ReadAllText(Goldens.RepositoryPath("docs/training.md"));

    [Fact]
    public void Every_key_has_a_row_with_its_default()
    {
        JsonObject defaults = ConfigurationWriter.ToJson(new TrainingConfiguration());
        Dictionary<string, string> rows = Row().Matches(Page).ToDictionary(row => row.Groups["key"].Value, row => row.Groups["default"].Value);
        Assert.Equal(defaults.Select(entry => entry.Key).Order(), rows.Keys.Order());
        // A block's own keys stand in docs/datasets.md.
        foreach ((string key, JsonNode? value) in defaults.Where(entry => entry.Key != "dataset")) Assert.Equal((key, Written(value)), (key, rows[key]));
    }

    [Fact]
    public void Every_key_of_another_tool_is_named_with_what_it_becomes()
    {
        foreach ((string theirs, string ours) in ConfigurationKeys.Aliases) Assert.Matches($@"\| [^|\n]*`{theirs}`[^|\n]* \| [^|\n]*`{Regex.Escape(ours)}`", Page);
        foreach (((string theirs, _), (string ours, _)) in ConfigurationKeys.Translations) Assert.Matches($@"\| [^|\n]*`{theirs}[`:][^|\n]* \| [^|\n]*`{ours}[`:]", Page);
        foreach (string key in (string[])[.. ConfigurationKeys.Fixed.Keys, .. ConfigurationKeys.Unsupported.Keys]) Assert.Matches($"`{key}[`:]", Page);
    }

    private static string Written(JsonNode? value) => value switch
    {
        null => "",
        JsonArray list => string.Join(", ", list.Select(Written)),
        _ => value.ToString() is { Length: > 0 } text ? $"`{text.ToLowerInvariant()}`" : "", // 5e-05
    };

    [GeneratedRegex(@"^\| `(?<key>[a-z0-9_]+)` \| (?<default>`[^`|]+`)? ?\|[^|\r\n]*\|\r?$", RegexOptions.Multiline)]
    private static partial Regex Row();
}
