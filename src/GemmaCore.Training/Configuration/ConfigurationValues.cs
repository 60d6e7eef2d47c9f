using System.Globalization;
using YamlDotNet.RepresentationModel;

namespace GemmaCore.Training.Configuration;

/// <summary>The keys and values of one YAML block, read by kind; whatever is never asked for is unknown.</summary>
internal sealed class ConfigurationValues(string prefix)
{
    private readonly Dictionary<string, YamlNode> _values = [];
    private readonly HashSet<string> _known = [];

    /// <summary>What stands in front of the keys in messages, e.g. <c>dataset.</c>.</summary>
    public string Prefix => prefix;

    public void Set(string key, YamlNode value) => _values[key] = value;

    public bool Contains(string key) => _values.ContainsKey(key);

    public void RefuseUnknown()
    {
        string? unknown = _values.Keys.FirstOrDefault(key => !_known.Contains(key));
        if (unknown is null) return;
        IEnumerable<string> candidates = prefix.Length == 0
            ? [.. _known, .. ConfigurationKeys.Aliases.Keys.Where(key => key.Length > 2), .. ConfigurationKeys.Unsupported.Keys, .. ConfigurationKeys.Fixed.Keys]
            : _known;
        throw new ConfigurationException($"{prefix}{unknown} is not a known key; did you mean {prefix}{Spelling.Nearest(unknown, candidates)}?");
    }

    public YamlNode? Node(string key)
    {
        _known.Add(key);
        return _values.GetValueOrDefault(key) is { } node && !IsNull(node) ? node : null;
    }

    public string Text(string key, string fallback) => Node(key) switch
    {
        null => fallback,
        YamlScalarNode scalar => scalar.Value!,
        _ => throw Wrong(key, "a list or block", "one value"),
    };

    public IReadOnlyList<string> Texts(string key, IReadOnlyList<string> fallback) => Node(key) switch
    {
        null => fallback,
        YamlScalarNode { Value: { } single } => single.Length > 0 ? [single] : fallback,
        YamlSequenceNode list when list.All(item => item is YamlScalarNode) => [.. list.Cast<YamlScalarNode>().Select(item => item.Value!)],
        _ => throw Wrong(key, "a block", "a value or a list of values"),
    };

    public IReadOnlyDictionary<string, string> Block(string key) => Node(key) switch
    {
        null => new Dictionary<string, string>(),
        YamlMappingNode block when block.Children.All(entry => entry is { Key: YamlScalarNode, Value: YamlScalarNode }) =>
            block.Children.ToDictionary(entry => ((YamlScalarNode)entry.Key).Value!, entry => ((YamlScalarNode)entry.Value).Value ?? ""),
        _ => throw Wrong(key, "something else", "a block of keys with one value each"),
    };

    // The first choice is the default.
    public string Choice(string key, params string[] choices)
    {
        string value = Text(key, choices[0]);
        return choices.Contains(value) ? value : throw Wrong(key, value, string.Join(", ", choices[..^1]) + " or " + choices[^1]);
    }

    public int Int(string key, int fallback, int min, int max)
    {
        double number = Number(key, fallback, min, max);
        return number == Math.Floor(number) ? (int)number : throw Wrong(key, Text(key, ""), "a whole number");
    }

    // A number of steps, or below 1 a share of all steps.
    public double Steps(string key, double fallback, double min)
    {
        double number = Number(key, fallback, min, int.MaxValue);
        return number < 1 || number == Math.Floor(number) ? number : throw Wrong(key, Text(key, ""), "a whole number of steps, or a share of all steps below 1");
    }

    public double Number(string key, double fallback, double min, double max)
    {
        if (Node(key) is null) return fallback;
        string text = Text(key, "");
        string expected = FormattableString.Invariant($"a number from {min} to {max}");
        if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) || !(number >= min && number <= max))
            throw Wrong(key, text, expected);
        return number;
    }

    public bool Flag(string key, bool fallback)
    {
        if (Node(key) is null) return fallback;
        string text = Text(key, "");
        return bool.TryParse(text, out bool flag) ? flag : throw Wrong(key, text, "true or false");
    }

    public ConfigurationException Wrong(string key, string value, string expected) => new($"{prefix}{key}: expected {expected}, got '{value}'");

    internal static bool IsNull(YamlNode node) =>
        node is YamlScalarNode { Style: YamlDotNet.Core.ScalarStyle.Plain or YamlDotNet.Core.ScalarStyle.Any, Value: null or "" or "null" or "Null" or "NULL" or "~" };
}
