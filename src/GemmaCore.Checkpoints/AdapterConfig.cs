using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace GemmaCore.Checkpoints;

/// <summary>A PEFT <c>adapter_config.json</c>: what GemmaCore honours of it, and the rest kept as it was (gemma3.md §9.1–9.5).</summary>
public sealed class AdapterConfig
{
    private const int LargestRank = 65536;
    private const double LargestAlpha = 1e9;

    // Features that change what an adapter means. Each is refused when it is switched on.
    private static readonly string[] Unsupported =
    [
        "alora_invocation_tokens", "layer_replication", "use_qalora", "use_bdlora", "trainable_token_indices", "target_parameters", "lora_bias",
        "arrow_config", "kasa_config", "velora_config", "monteclora_config", "megatron_config", "lora_ga_config",
    ];

    // These start A and B only. The others (pissa, olora, corda, loftq, …) change the base weights too, so that the adapter fits another base.
    private static readonly string[] HarmlessStarts = ["gaussian", "eva", "orthogonal"];

    // fan_in_fan_out is about Conv1D; on linear layers, and there are no others here, PEFT itself sets it back to false.
    private static readonly HashSet<string> Ignored =
    [
        "auto_mapping", "corda_config", "ensure_weight_tying", "eva_config", "fan_in_fan_out", "inference_mode", "loftq_config", "megatron_core", "peft_version",
        "qalora_group_size", "revision", "runtime_config", "task_type",
    ];

    private static readonly HashSet<string> Honoured =
    [
        "alpha_pattern", "base_model_name_or_path", "bias", "exclude_modules", "init_lora_weights", "layers_pattern", "layers_to_transform", "lora_alpha",
        "lora_dropout", "modules_to_save", "peft_type", "r", "rank_pattern", "target_modules", "use_dora", "use_rslora",
    ];

    // Python's json.dump with indent=2; the last difference, escapes outside ASCII, is made up for in Format.
    private static readonly JsonSerializerOptions PythonStyle = new()
    {
        WriteIndented = true, IndentSize = 2, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly JsonObject _json;
    private readonly List<(ModulePattern Pattern, double Value)> _ranks, _alphas;

    private AdapterConfig(JsonObject json, string file)
    {
        _json = json;
        var fields = new AdapterFields(json, file);
        if (fields.Text("peft_type", "LORA") is var type && type != "LORA") throw fields.Refuse($"peft_type '{type}' is not supported; expected LORA");
        foreach (string name in Unsupported)
            if (fields.IsOn(name)) throw fields.Refuse($"{name} is not supported");
        if (fields.Text("bias", "none") is var bias && bias != "none") throw fields.Refuse($"bias '{bias}' is not supported; expected none");
        CheckStart(json, fields);
        R = fields.Whole("r", 8, 1, LargestRank);
        LoraAlpha = fields.Number("lora_alpha", 8, 0, LargestAlpha);
        LoraDropout = fields.Number("lora_dropout", 0, 0, 1);
        UseRslora = fields.Flag("use_rslora");
        UseDora = fields.Flag("use_dora");
        BaseModelNameOrPath = fields.Text("base_model_name_or_path", "");
        Targeting = new TargetMatcher(fields);
        _ranks = Patterns(fields, "rank_pattern", 1, LargestRank, whole: true);
        _alphas = Patterns(fields, "alpha_pattern", 0, LargestAlpha, whole: false);
        UnknownFields = [.. json.Select(field => field.Key).Where(key => !Honoured.Contains(key) && !Ignored.Contains(key) && !Unsupported.Contains(key))];
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

    /// <summary>Which layers are adapted.</summary>
    public TargetMatcher Targeting { get; }

    /// <summary>Fields this version knows nothing about. They are kept when the configuration is saved; whoever loads it should print them.</summary>
    public IReadOnlyList<string> UnknownFields { get; }

    /// <summary>Reads a configuration.</summary>
    /// <exception cref="CheckpointException">It is not valid, or asks for something GemmaCore does not compute.</exception>
    public static AdapterConfig Parse(ReadOnlyMemory<byte> json, string file)
    {
        try
        {
            string text = StrictUtf8.GetString(json.Span);
            using JsonDocument document = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new CheckpointException($"{file}: expected a JSON object");
            var fields = JsonObject.Create(document.RootElement.Clone())!;
            // Nodes read lazily; writing them once shows damage now and not when the configuration is saved.
            _ = fields.ToJsonString(PythonStyle);
            return new AdapterConfig(fields, file);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException or ArgumentException or OverflowException)
        {
            throw new CheckpointException($"{file}: not a valid adapter configuration: {error.Message}", error);
        }
    }

    /// <summary>The configuration of an adapter that is about to be trained, with the field set PEFT writes.</summary>
    /// <param name="baseModel">What it is made for.</param>
    /// <param name="rank">r.</param>
    /// <param name="alpha">lora_alpha.</param>
    /// <param name="dropout">lora_dropout.</param>
    /// <param name="rslora">Whether the scale is alpha / √r.</param>
    /// <param name="targets">Names; or one entry that is <c>all-linear</c> or, when it could not be a name, a regular expression.</param>
    /// <exception cref="CheckpointException">A value is out of range or a regular expression is broken.</exception>
    public static AdapterConfig ForTraining(string baseModel, int rank, double alpha, double dropout, bool rslora, IReadOnlyList<string> targets)
    {
        ArgumentNullException.ThrowIfNull(targets);
        bool single = targets.Count == 1 && (targets[0] == "all-linear" || !targets[0].All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.'));
        JsonNode? targetModules = single ? targets[0] : new JsonArray([.. targets.Select(target => (JsonNode)target)]);
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
            ["lora_alpha"] = alpha == Math.Floor(alpha) && Math.Abs(alpha) <= LargestAlpha ? (long)alpha : PythonFloat(alpha),
            ["lora_bias"] = false,
            ["lora_dropout"] = PythonFloat(dropout),
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
            ["target_modules"] = targetModules,
            ["target_parameters"] = null,
            ["task_type"] = "CAUSAL_LM",
            ["trainable_token_indices"] = null,
            ["use_bdlora"] = null,
            ["use_dora"] = false,
            ["use_qalora"] = false,
            ["use_rslora"] = rslora,
            ["velora_config"] = null,
        };
        return Parse(Encoding.UTF8.GetBytes(fields.ToJsonString()), "adapter");
    }

    /// <summary>The file's text: sorted keys, indented by two. An <c>all-linear</c> target is written as the names it stood for, as PEFT does.</summary>
    /// <param name="adaptedModules">Canonical paths of the adapted layers.</param>
    public string Format(IEnumerable<string> adaptedModules)
    {
        var sorted = new JsonObject();
        foreach (string key in _json.Select(field => field.Key).Order(StringComparer.Ordinal)) sorted[key] = _json[key]?.DeepClone();
        if (Targeting.IsAllLinear)
        {
            IEnumerable<string> names = adaptedModules.Select(path => path[(path.LastIndexOf('.') + 1)..]).Distinct().Order(StringComparer.Ordinal);
            sorted["target_modules"] = new JsonArray([.. names.Select(name => (JsonNode)name)]);
        }

        return PythonEscapes(sorted.ToJsonString(PythonStyle));
    }

    /// <summary>Rank of a layer: the first matching <c>rank_pattern</c>, or r.</summary>
    public int RankFor(string modulePath) => (int)First(_ranks, modulePath, R);

    /// <summary>The factor on B·A of a layer.</summary>
    public double ScaleFor(string modulePath)
    {
        double rank = RankFor(modulePath), alpha = First(_alphas, modulePath, LoraAlpha);
        return UseRslora ? alpha / Math.Sqrt(rank) : alpha / rank;
    }

    /// <summary>Whether a layer is adapted; see <see cref="TargetMatcher.Matches"/>.</summary>
    public bool Targets(string modulePath) => Targeting.Matches(modulePath);

    private static void CheckStart(JsonObject json, AdapterFields fields)
    {
        if (json["init_lora_weights"] is not JsonValue value || value.GetValueKind() is JsonValueKind.True or JsonValueKind.False) return;
        string start = fields.Text("init_lora_weights", "");
        if (!HarmlessStarts.Contains(start))
            throw fields.Refuse($"init_lora_weights '{start}' changes the base weights and is not supported; convert the adapter to plain LoRA when saving it in PEFT");
    }

    private static List<(ModulePattern Pattern, double Value)> Patterns(AdapterFields fields, string key, double min, double max, bool whole) =>
        [.. fields.Pattern(key, min, max, whole).Select(item => (ModulePattern.Suffix(item.Key, fields.Where(key)), item.Value))];

    private static double First(List<(ModulePattern Pattern, double Value)> patterns, string modulePath, double fallback)
    {
        foreach ((ModulePattern pattern, double value) in patterns)
            if (pattern.Matches(modulePath)) return value;
        return fallback;
    }

    // Python escapes all that is not ASCII, with small hexadecimal digits.
    private static string PythonEscapes(string json)
    {
        var ascii = new StringBuilder(json.Length);
        for (int i = 0; i < json.Length; i++)
        {
            if (!char.IsAscii(json[i])) ascii.Append(CultureInfo.InvariantCulture, $"\\u{(int)json[i]:x4}");
            else ascii.Append(json[i]);
            if (json[i] != '\\') continue;
            int length = json[++i] == 'u' ? 5 : 1;
            ascii.Append(json.Substring(i, length).ToLowerInvariant());
            i += length - 1;
        }

        return ascii.ToString();
    }

    // Python writes 0.0 and 1e-05 where .NET writes 0 and 1E-05.
    private static JsonNode PythonFloat(double value)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture).ToLowerInvariant();
        return JsonNode.Parse(text.AsSpan().ContainsAny(".en") ? text : text + ".0")!;
    }
}
