using System.Globalization;
using System.Text.RegularExpressions;

namespace GemmaCore.Models.Lora;

/// <summary>Paths of modules for a message: every one of them, yet short enough for one line.</summary>
internal static partial class ModulePaths
{
    /// <summary>
    /// Layers that hold the same names share one entry: <c>model.layers.{0-2,7}.{mlp.up_proj, self_attn.q_proj}</c>. Paths outside numbered layers
    /// follow as they are.
    /// </summary>
    public static string List(IEnumerable<string> paths)
    {
        var plain = new List<string>();
        var layers = new SortedDictionary<(string Prefix, int Number), SortedSet<string>>();
        foreach (string path in paths)
        {
            if (Numbered().Match(path) is not { Success: true } match)
            {
                plain.Add(path);
                continue;
            }

            (string, int) layer = (match.Groups[1].Value, int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture));
            if (!layers.TryGetValue(layer, out SortedSet<string>? names)) layers[layer] = names = new(StringComparer.Ordinal);
            names.Add(match.Groups[3].Value);
        }

        IEnumerable<string> grouped = layers.GroupBy(layer => (layer.Key.Prefix, Names: string.Join(", ", layer.Value)), layer => (layer.Key.Number, layer.Value.Count))
            .Select(group => group.Key.Prefix + Braces(Ranges([.. group.Select(layer => layer.Number)])) + "."
                + (group.First().Count == 1 ? group.Key.Names : Braces(group.Key.Names)));
        return string.Join(", ", grouped.Concat(plain.Order(StringComparer.Ordinal)));
    }

    [GeneratedRegex(@"^(.*?\.layers\.)(\d{1,6})\.(.+)$")]
    private static partial Regex Numbered();

    private static string Braces(string text) => text.AsSpan().ContainsAny(",-") ? "{" + text + "}" : text;

    private static string Ranges(int[] ascending)
    {
        var ranges = new List<string>();
        for (int first = 0, last; first < ascending.Length; first = last + 1)
        {
            last = first;
            while (last + 1 < ascending.Length && ascending[last + 1] == ascending[last] + 1) last++;
            ranges.Add(first == last ? $"{ascending[first]}" : $"{ascending[first]}-{ascending[last]}");
        }

        return string.Join(",", ranges);
    }
}
