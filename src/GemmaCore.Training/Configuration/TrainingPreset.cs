using System.Reflection;

namespace GemmaCore.Training.Configuration;

/// <summary>Training configurations that travel with the program: <c>configs/medgemma_NAME.yaml</c>, each for a kind of card.</summary>
public static class TrainingPreset
{
    private const string Prefix = "medgemma_";

    /// <summary>Names of all presets.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Resources.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).Select(name => name[Prefix.Length..]).Order(StringComparer.Ordinal)];

    private static Assembly Resources => typeof(TrainingPreset).Assembly;

    /// <summary>The YAML text of a preset; null when there is none of that name.</summary>
    public static string? Find(string name)
    {
        using Stream? stream = Names.Contains(name) ? Resources.GetManifestResourceStream(Prefix + name) : null;
        if (stream is null) return null;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
