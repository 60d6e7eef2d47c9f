using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace GemmaCore.Training.Configuration;

/// <summary>A configuration and what had to be said about it.</summary>
/// <param name="Configuration">The configuration.</param>
/// <param name="Notes">Aliases in their standard spelling, and the like; one line each.</param>
public sealed record ConfigurationReading(TrainingConfiguration Configuration, IReadOnlyList<string> Notes);

/// <summary>Reads a training configuration from YAML and from <c>key=value</c> overrides. A key nobody knows is an error, not a silence.</summary>
public sealed class ConfigurationReader
{
    private readonly Dictionary<string, YamlNode> _values = [];
    private readonly HashSet<string> _known = [];
    private readonly List<string> _notes = [];
    private readonly string _prefix;

    private ConfigurationReader(string prefix) => _prefix = prefix;

    /// <summary>Reads a configuration.</summary>
    /// <param name="yaml">Text of the file.</param>
    /// <param name="overrides"><c>key=value</c>, with dots into the dataset block: <c>dataset.path=x</c>.</param>
    /// <exception cref="ConfigurationException">A key is unknown, a value is of the wrong kind or out of range, or something is not supported.</exception>
    public static ConfigurationReading Read(string yaml, IReadOnlyList<string> overrides)
    {
        ArgumentNullException.ThrowIfNull(overrides);
        var reader = new ConfigurationReader("");
        reader.Take(Parse(yaml));
        var datasetReader = new ConfigurationReader("dataset.");
        if (reader._values.Remove("dataset", out YamlNode? block))
            datasetReader.Take(block as YamlMappingNode ?? throw new ConfigurationException("dataset: expected a block with type and path"));
        foreach (string item in overrides)
        {
            int equals = item.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0) throw new ConfigurationException($"'{item}': expected key=value");
            (string key, string value) = (item[..equals], item[(equals + 1)..]);
            YamlNode node = Parse($"value: {value}").Children[new YamlScalarNode("value")];
            if (key.StartsWith("dataset.", StringComparison.Ordinal)) datasetReader.Set(key["dataset.".Length..], node);
            else reader.Set(key, node);
        }

        TrainingConfiguration configuration = reader.Build(datasetReader);
        reader.RefuseUnknown();
        datasetReader.RefuseUnknown();
        return new ConfigurationReading(configuration, reader._notes);
    }

    private TrainingConfiguration Build(ConfigurationReader dataset)
    {
        var defaults = new TrainingConfiguration();
        string optimizer = Text("optim", "adamw_torch");
        if (optimizer is not ("adamw_torch" or "adamw_torch_fused" or "adamw")) throw Wrong("optim", optimizer, "adamw_torch");
        return new TrainingConfiguration
        {
            ModelNameOrPath = Text("model_name_or_path", ""),
            AdapterNameOrPath = Text("adapter_name_or_path", "") is { Length: > 0 } adapter ? adapter : null,
            Dataset = dataset.BuildDataset(),
            OutputDir = Text("output_dir", ""),
            LoraRank = Int("lora_rank", defaults.LoraRank, 1, 4096),
            LoraAlpha = Number("lora_alpha", defaults.LoraAlpha, 1e-6, 1e6),
            LoraDropout = Number("lora_dropout", 0, 0, 0.99),
            UseRslora = Flag("use_rslora", false),
            TargetModules = Texts("target_modules", defaults.TargetModules),
            PeftLayout = Choice("peft_layout", "default", "legacy"),
            PerDeviceTrainBatchSize = Int("per_device_train_batch_size", 8, 1, 1 << 16),
            PerDeviceEvalBatchSize = Int("per_device_eval_batch_size", 8, 1, 1 << 16),
            GradientAccumulationSteps = Int("gradient_accumulation_steps", 1, 1, 1 << 16),
            LossReduction = Choice("loss_reduction", "mean_of_means", "token_weighted") == "token_weighted" ? LossReduction.TokenWeighted : LossReduction.MeanOfMeans,
            AnswersOnly = Choice("loss_on", "assistant_only", "all_text") == "assistant_only",
            MaxLength = Int("max_length", 0, 0, 1 << 26),
            LearningRate = Number("learning_rate", defaults.LearningRate, 0, 10),
            LrSchedulerType = Choice("lr_scheduler_type", "linear", "cosine", "constant", "constant_with_warmup"),
            WarmupRatio = Number("warmup_ratio", 0, 0, 1),
            WarmupSteps = Int("warmup_steps", 0, 0, int.MaxValue),
            NumTrainEpochs = Number("num_train_epochs", 3, 0, 1e6),
            MaxSteps = Int("max_steps", -1, -1, int.MaxValue),
            MaxGradNorm = Number("max_grad_norm", 1, 0, 1e9),
            WeightDecay = Number("weight_decay", 0, 0, 100),
            AdamBeta1 = Number("adam_beta1", 0.9, 0, 1),
            AdamBeta2 = Number("adam_beta2", 0.999, 0, 1),
            AdamEpsilon = Number("adam_epsilon", 1e-8, 0, 1),
            GradientCheckpointing = Flag("gradient_checkpointing", false),
            CacheImageFeatures = Text("cache_image_features", "auto") == "auto" || Flag("cache_image_features", true),
            LoggingSteps = Int("logging_steps", 10, 1, int.MaxValue),
            Evaluates = Choice("eval_strategy", "no", "steps") == "steps",
            EvalSteps = Int("eval_steps", 200, 1, int.MaxValue),
            MaxEvalSamples = Int("max_eval_samples", 0, 0, int.MaxValue),
            SaveSteps = Int("save_steps", 200, 1, int.MaxValue),
            SaveTotalLimit = Int("save_total_limit", 0, 0, int.MaxValue),
            LoadBestModelAtEnd = Flag("load_best_model_at_end", false),
            EarlyStoppingPatience = Int("early_stopping_patience", 0, 0, int.MaxValue),
            SkipBadRows = Choice("on_bad_row", "stop", "skip") == "skip",
            TensorBoard = Texts("report_to", []).Contains("tensorboard"),
            Seed = Int("seed", 42, 0, int.MaxValue),
        };
    }

    private DatasetConfiguration BuildDataset()
    {
        var defaults = new DatasetConfiguration();
        IReadOnlyList<string> tasks = Texts("tasks", []);
        return new DatasetConfiguration
        {
            Type = Choice("type", "flare", "messages", "sharegpt"),
            Path = Text("path", ""),
            Tasks = tasks is ["all"] ? [] : tasks,
            Split = Text("split", defaults.Split),
            EvalSplit = Text("eval_split", defaults.EvalSplit),
            Prompts = Choice("prompts", "flare26", "flare25", "question"),
            MaxSamples = Int("max_samples", 0, 0, int.MaxValue),
        };
    }

    private static YamlMappingNode Parse(string yaml)
    {
        var stream = new YamlStream();
        try
        {
            stream.Load(new StringReader(yaml));
        }
        catch (YamlException error)
        {
            throw new ConfigurationException($"line {error.Start.Line}: not valid YAML: {error.Message}");
        }

        if (stream.Documents.Count == 0) return new YamlMappingNode();
        return stream.Documents[0].RootNode as YamlMappingNode ?? throw new ConfigurationException("expected a YAML mapping of keys to values");
    }

    private void Take(YamlMappingNode mapping)
    {
        foreach ((YamlNode key, YamlNode value) in mapping.Children)
        {
            if (key is not YamlScalarNode { Value: { } name }) throw new ConfigurationException($"line {key.Start.Line}: keys must be plain text");
            Set(name, value);
        }
    }

    private void Set(string key, YamlNode value)
    {
        if (_prefix.Length == 0 && ConfigurationKeys.Aliases.TryGetValue(key, out string? standard))
        {
            _notes.Add(standard.Length > 0 ? $"{key} is {standard} in standard spelling" : $"{key} is not needed here and has no effect");
            if (standard.Length == 0) return;
            key = standard;
        }

        if (_prefix.Length == 0 && ConfigurationKeys.Unsupported.TryGetValue(key, out string? reason))
        {
            if (value is YamlScalarNode { Value: null or "" or "null" or "false" or "False" or "0" or "0.0" or "~" }) return;
            throw new ConfigurationException($"{key}: {reason}");
        }

        _values[key] = value;
    }

    private void RefuseUnknown()
    {
        string? unknown = _values.Keys.FirstOrDefault(key => !_known.Contains(key));
        if (unknown is not null)
            throw new ConfigurationException($"{_prefix}{unknown} is not a known key; did you mean {_prefix}{Spelling.Nearest(unknown, _known)}?");
    }

    private string Text(string key, string fallback)
    {
        _known.Add(key);
        if (!_values.TryGetValue(key, out YamlNode? node)) return fallback;
        return node is YamlScalarNode scalar ? (scalar.Value is null or "null" or "~" ? fallback : scalar.Value) : throw Wrong(key, "a list or block", "one value");
    }

    private IReadOnlyList<string> Texts(string key, IReadOnlyList<string> fallback)
    {
        _known.Add(key);
        if (!_values.TryGetValue(key, out YamlNode? node)) return fallback;
        if (node is YamlScalarNode { Value: { } single }) return single is "null" or "~" or "none" or "" ? fallback : [single];
        if (node is YamlSequenceNode list && list.All(item => item is YamlScalarNode { Value: not null }))
            return [.. list.Cast<YamlScalarNode>().Select(item => item.Value!)];
        throw Wrong(key, "a block", "a value or a list of values");
    }

    private string Choice(string key, params string[] choices)
    {
        string value = Text(key, choices[0]);
        return choices.Contains(value) ? value : throw Wrong(key, value, string.Join(", ", choices[..^1]) + " or " + choices[^1]);
    }

    private int Int(string key, int fallback, int min, int max)
    {
        double number = Number(key, fallback, min, max);
        return number == Math.Floor(number) ? (int)number : throw Wrong(key, number.ToString(CultureInfo.InvariantCulture), "a whole number");
    }

    private double Number(string key, double fallback, double min, double max)
    {
        string text = Text(key, "");
        if (text.Length == 0) return fallback;
        string expected = FormattableString.Invariant($"a number from {min} to {max}");
        if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) || !(number >= min && number <= max))
            throw Wrong(key, text, expected);
        return number;
    }

    private bool Flag(string key, bool fallback)
    {
        string text = Text(key, "");
        return text.Length == 0 ? fallback : bool.TryParse(text, out bool flag) ? flag : throw Wrong(key, text, "true or false");
    }

    private ConfigurationException Wrong(string key, string value, string expected) => new($"{_prefix}{key}: expected {expected}, got '{value}'");
}
