namespace GemmaCore.Checkpoints;

/// <summary>
/// Which linear layers an adapter is put on (gemma3.md §9.4): a string is a regular expression for the whole path, a list holds paths or last parts of
/// paths, <c>all-linear</c> is every linear layer but the head; excluded and fully trained modules are left out first.
/// </summary>
public sealed class TargetMatcher
{
    private const string AllLinear = "all-linear";

    private readonly List<string>? _targets, _excluded, _saved;
    private readonly ModulePattern? _targetPattern, _excludedPattern;
    private readonly int[]? _layers;
    private readonly List<ModulePattern> _layerPatterns = [];

    internal TargetMatcher(AdapterFields fields)
    {
        _targets = fields.Names("target_modules", out string? target);
        _excluded = fields.Names("exclude_modules", out string? excluded);
        _saved = fields.Names("modules_to_save", out string? saved) ?? (saved is null ? null : [saved]);
        IsAllLinear = target == AllLinear;
        if (target is not null && !IsAllLinear) _targetPattern = Pattern(fields, target, "target_modules");
        if (excluded is not null) _excludedPattern = Pattern(fields, excluded, "exclude_modules");
        _layers = fields.WholeNumbers("layers_to_transform");
        List<string> lists = fields.Names("layers_pattern", out string? list) ?? (string.IsNullOrEmpty(list) ? [] : [list]);
        // The two combinations that PEFT refuses as well.
        if (_layers is not null && target is not null) throw fields.Refuse("layers_to_transform needs target_modules to be a list of names");
        if (_layers is null && lists.Count > 0) throw fields.Refuse("layers_pattern needs layers_to_transform");
        if (_layers is null) return;
        string indices = string.Join('|', _layers);
        if (lists.Count == 0) lists = ["[^.]*"];
        foreach (string name in lists) _layerPatterns.Add(Pattern(fields, $@".*\.(?:{name})\.(?:{indices})\..*", "layers_pattern"));
    }

    /// <summary>The target is every linear layer but the head.</summary>
    public bool IsAllLinear { get; }

    /// <summary>Modules trained as a whole, by path or last part of it.</summary>
    public IReadOnlyList<string> ModulesToSave => _saved ?? [];

    /// <summary>Whether a linear layer is adapted.</summary>
    /// <param name="modulePath">Canonical path, e.g. <c>model.language_model.layers.0.self_attn.q_proj</c>.</param>
    /// <exception cref="CheckpointException">A regular expression of the configuration takes too long on this path.</exception>
    public bool Matches(string modulePath)
    {
        ArgumentNullException.ThrowIfNull(modulePath);
        if (Names(_excluded, modulePath) || Names(_saved, modulePath) || _excludedPattern?.Matches(modulePath) == true) return false;
        if (IsAllLinear) return modulePath != "lm_head";
        if (_targetPattern is not null) return _targetPattern.Matches(modulePath);
        return Names(_targets, modulePath) && (_layers is null || _layerPatterns.Exists(pattern => pattern.Matches(modulePath)));
    }

    private static ModulePattern Pattern(AdapterFields fields, string text, string key) => ModulePattern.Whole(text, fields.Where(key));

    private static bool Names(List<string>? names, string path)
    {
        if (names is null) return false;
        foreach (NameGeneration generation in WeightNames.Generations)
        {
            string spelling = WeightNames.ToGeneration(path, generation);
            foreach (string name in names)
                if (spelling.EndsWith(name, StringComparison.Ordinal) && (spelling.Length == name.Length || spelling[^(name.Length + 1)] == '.')) return true;
        }

        return false;
    }
}
