using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace GemmaCore.Checkpoints;

/// <summary>A PEFT <c>adapter_config.json</c>: what GemmaCore honours of it, and the rest kept as it was (gemma3.md §9.1–9.5).</summary>
public sealed class AdapterConfig
{
    private static readonly SearchValues<char> RegexSigns = SearchValues.Create(@"*\|(.[^$?+");
    private static readonly TimeSpan RegexLimit = TimeSpan.FromSeconds(1);

    // Features that change what an adapter means. Each is refused when it is switched on.
    private static readonly string[] Unsupported =
    [
        "alora_invocation_tokens", "layer_replication", "use_qalora", "use_bdlora", "trainable_token_indices", "target_parameters", "lora_bias",
        "fan_in_fan_out", "arrow_config", "kasa_config", "velora_config", "monteclora_config", "megatron_config", "lora_ga_config",
    ];

    private readonly JsonObject _fields;
    private readonly Dictionary<Regex, int> _rankPattern = [];
    private readonly Dictionary<Regex, double> _alphaPattern = [];
    private readonly List<string>? _targets, _excluded;
    private readonly Regex? _targetRegex, _excludedRegex;
    private readonly bool _allLinear;
    private readonly int[]? _layers;

    private AdapterConfig(JsonObject fields, string file)
    {
        _fields = fields;
        if (Text(file, "peft_type", "LORA") is var type && type != "LORA") throw new CheckpointException($"{file}: peft_type '{type}' is not supported; expected LORA");
        foreach (string name in Unsupported)
            if (IsOn(fields[name])) throw new CheckpointException($"{file}: {name} is not supported");
        if (Text(file, "bias", "none") is var bias && bias != "none") throw new CheckpointException($"{file}: bias '{bias}' is not supported; expected none");
        R = (int)Number(file, "r", 8, 1, 65536);
        LoraAlpha = Number(file, "lora_alpha", 8, 0, 1e9);
        LoraDropout = Number(file, "lora_dropout", 0, 0, 1);
        UseRslora = IsOn(fields["use_rslora"]);
        UseDora = IsOn(fields["use_dora"]);
        BaseModelNameOrPath = Text(file, "base_model_name_or_path", "");
        ReadTargets(file, "target_modules", out _targets, out _targetRegex, out _allLinear);
        ReadTargets(file, "exclude_modules", out _excluded, out _excludedRegex, out _);
        _layers = fields["layers_to_transform"] switch
        {
            null => null,
            JsonArray list => [.. list.Select(item => item!.GetValue<int>())],
            JsonNode single => [single.GetValue<int>()],
        };
        foreach ((string key, double value) in Pattern(file, "rank_pattern")) _rankPattern.Add(SuffixRegex(file, key), (int)value);
        foreach ((string key, double value) in Pattern(file, "alpha_pattern")) _alphaPattern.Add(SuffixRegex(file, key), value);
    }

    /// <summary>Default rank.</summary>
    public int R { get; }

    /// <summary>Default alpha.</summary>
    public double LoraAlpha { get; }

    /// <summary>Dropout of the training run.</summary>
    public double LoraDropout { get; }

    /// <summary>Scale is alpha / √r instead of alpha / r (arXiv:2312.03732).</summary>
    public bool UseRslora { get; }

    /// <summary>The adapter has magnitudes (arXiv:2402.09353).</summary>
    public bool UseDora { get; }

    /// <summary>What the adapter was made for.</summary>
    public string BaseModelNameOrPath { get; }

    /// <summary>Reads a configuration.</summary>
    /// <exception cref="CheckpointException">It is not valid, or asks for something GemmaCore does not compute.</exception>
    public static AdapterConfig Parse(ReadOnlyMemory<byte> json, string file)
    {
        try
        {
            JsonObject fields = JsonNode.Parse(json.Span) as JsonObject ?? throw new CheckpointException($"{file}: expected a JSON object");
            return new AdapterConfig(fields, file);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException or ArgumentException or OverflowException)
        {
            throw new CheckpointException($"{file}: not a valid adapter configuration: {error.Message}", error);
        }
    }

    /// <summary>The configuration of an adapter that is about to be trained, with the field set PEFT writes.</summary>
    public static AdapterConfig ForTraining(
        string baseModel, int rank, double alpha, double dropout, bool rslora, IReadOnlyList<string> targets)
    {
        ArgumentNullException.ThrowIfNull(targets);
        bool single = targets.Count == 1 && (targets[0] == "all-linear" || targets[0].AsSpan().ContainsAny(RegexSigns));
        var fields = new JsonObject
        {
            ["alora_invocation_tokens"] = null,
            ["alpha_pattern"] = new JsonObject(),
            ["arrow_config"] = null,
            ["auto_mapping"] = null,
            ["base_model_name_or_path"] = baseModel,
            ["bias"] = "none",
            ["corda_config"] = null,
            ["ensure_weight_tying"] = false,
            ["eva_config"] = null,
            ["exclude_modules"] = null,
            ["fan_in_fan_out"] = false,
            ["inference_mode"] = true,
            ["init_lora_weights"] = true,
            ["kasa_config"] = null,
            ["layer_replication"] = null,
            ["layers_pattern"] = null,
            ["layers_to_transform"] = null,
            ["loftq_config"] = new JsonObject(),
            ["lora_alpha"] = Whole(alpha),
            ["lora_bias"] = false,
            ["lora_dropout"] = dropout,
            ["lora_ga_config"] = null,
            ["megatron_config"] = null,
            ["megatron_core"] = "megatron.core",
            ["modules_to_save"] = null,
            ["monteclora_config"] = null,
            ["peft_type"] = "LORA",
            ["peft_version"] = "0.21.2",
            ["qalora_group_size"] = 16,
            ["r"] = rank,
            ["rank_pattern"] = new JsonObject(),
            ["revision"] = null,
            ["target_modules"] = single ? targets[0] : new JsonArray([.. targets.Select(target => (JsonNode)target)]),
            ["target_parameters"] = null,
            ["task_type"] = "CAUSAL_LM",
            ["trainable_token_indices"] = null,
            ["use_bdlora"] = null,
            ["use_dora"] = false,
            ["use_qalora"] = false,
            ["use_rslora"] = rslora,
            ["velora_config"] = null,
        };
        return Parse(Encoding.UTF8.GetBytes(fields.ToJsonString()), "target_modules");
    }

    /// <summary>The file's text: sorted keys, indented by two. An <c>all-linear</c> target is written as the names it stood for, as PEFT does.</summary>
    /// <param name="adaptedModules">Canonical paths of the adapted layers.</param>
    public string Format(IEnumerable<string> adaptedModules)
    {
        var fields = (JsonObject)_fields.DeepClone();
        if (_allLinear)
        {
            IEnumerable<string> names = adaptedModules.Select(path => path[(path.LastIndexOf('.') + 1)..]).Distinct().Order(StringComparer.Ordinal);
            fields["target_modules"] = new JsonArray([.. names.Select(name => (JsonNode)name)]);
        }

        var sorted = new JsonObject();
        foreach (string key in fields.Select(field => field.Key).Order(StringComparer.Ordinal)) sorted[key] = fields[key]?.DeepClone();
        return sorted.ToJsonString(new JsonSerializerOptions { WriteIndented = true, IndentSize = 2 });
    }

    /// <summary>Rank of a layer.</summary>
    public int RankFor(string modulePath) => First(_rankPattern, modulePath, R);

    /// <summary>The factor on B·A of a layer.</summary>
    public double ScaleFor(string modulePath)
    {
        double rank = RankFor(modulePath), alpha = First(_alphaPattern, modulePath, LoraAlpha);
        return UseRslora ? alpha / Math.Sqrt(rank) : alpha / rank;
    }

    /// <summary>Whether a layer is adapted. Regular expressions may be written for any generation's spelling of the path.</summary>
    public bool Targets(string modulePath)
    {
        ArgumentNullException.ThrowIfNull(modulePath);
        if (Matches(modulePath, _excluded, _excludedRegex)) return false;
        if (_layers is not null && !Array.Exists(_layers, layer => modulePath.Contains($".layers.{layer}.", StringComparison.Ordinal))) return false;
        return _allLinear ? !modulePath.EndsWith("lm_head", StringComparison.Ordinal) : Matches(modulePath, _targets, _targetRegex);
    }

    private static bool Matches(string path, List<string>? names, Regex? regex)
    {
        foreach (NameGeneration generation in Enum.GetValues<NameGeneration>())
        {
            string spelling = WeightNames.ToGeneration(path, generation);
            if (regex is not null && regex.IsMatch(spelling)) return true;
            if (names is not null && names.Exists(name => spelling == name || spelling.EndsWith("." + name, StringComparison.Ordinal))) return true;
        }

        return false;
    }

    private static T First<T>(Dictionary<Regex, T> pattern, string modulePath, T fallback)
    {
        foreach ((Regex regex, T value) in pattern)
            foreach (NameGeneration generation in Enum.GetValues<NameGeneration>())
                if (regex.IsMatch(WeightNames.ToGeneration(modulePath, generation))) return value;
        return fallback;
    }

    private static bool IsOn(JsonNode? value) => value switch
    {
        null => false,
        JsonArray list => list.Count > 0,
        JsonObject map => map.Count > 0,
        JsonValue item when item.TryGetValue(out bool flag) => flag,
        _ => true,
    };

    private static JsonNode Whole(double value) => value == Math.Floor(value) && Math.Abs(value) < 1e9 ? (int)value : value;

    private static Regex SuffixRegex(string file, string key) => Compile(file, $@"^(.*\.)?({key})$");

    private static Regex Compile(string file, string pattern)
    {
        try
        {
            return new Regex(pattern, RegexOptions.CultureInvariant, RegexLimit);
        }
        catch (ArgumentException error)
        {
            throw new CheckpointException($"{file}: '{pattern}' is not a regular expression: {error.Message}", error);
        }
    }

    private void ReadTargets(string file, string key, out List<string>? names, out Regex? regex, out bool allLinear)
    {
        (names, regex, allLinear) = (null, null, false);
        switch (_fields[key])
        {
            case JsonArray list:
                names = [.. list.Select(item => item!.GetValue<string>())];
                break;
            case JsonValue value when value.TryGetValue(out string? text):
                allLinear = text == "all-linear";
                if (!allLinear) regex = Compile(file, $"^(?:{text})$");
                break;
            case null:
                break;
            default:
                throw new CheckpointException($"{file}: {key} must be a list of names or a regular expression");
        }
    }

    private IEnumerable<KeyValuePair<string, double>> Pattern(string file, string key)
    {
        if (_fields[key] is null) return [];
        JsonObject map = _fields[key] as JsonObject ?? throw new CheckpointException($"{file}: {key} must be a JSON object");
        return [.. map.Select(item => KeyValuePair.Create(item.Key, item.Value!.GetValue<double>() is > 0 and <= 65536 and var value
            ? value
            : throw new CheckpointException($"{file}: {key}.{item.Key} must be above 0")))];
    }

    private string Text(string file, string key, string fallback) => _fields[key] switch
    {
        null => fallback,
        JsonValue value when value.TryGetValue(out string? text) => text,
        JsonNode other => throw new CheckpointException($"{file}: {key} must be a string, got {other.ToJsonString()}"),
    };

    private double Number(string file, string key, double fallback, double min, double max) => _fields[key] switch
    {
        null => fallback,
        JsonValue value when value.TryGetValue(out double number) && number >= min && number <= max => number,
        JsonNode other => throw new CheckpointException($"{file}: {key} must be a number from {min} to {max}, got {other.ToJsonString()}"),
    };
}
