using GemmaCore.Inputs;
using GemmaCore.Training.Planning;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace GemmaCore.Training.Configuration;

/// <summary>A configuration and what had to be said about it.</summary>
/// <param name="Configuration">The configuration.</param>
/// <param name="Notes">Aliases in their standard spelling, and the like; one line each.</param>
public sealed record ConfigurationReading(TrainingConfiguration Configuration, IReadOnlyList<string> Notes);

/// <summary>Reads a training configuration from YAML and from <c>key=value</c> overrides. A key nobody knows is an error, not a silence.</summary>
public sealed class ConfigurationReader
{
    // Far above any real file; the YAML library recurses on nested values and would end the process.
    private const int MaxDepth = 16;

    private readonly ConfigurationValues _run = new(""), _dataset = new("dataset."), _evalDataset = new("eval_dataset.");
    private readonly Dictionary<string, string> _givenAs = [];
    private readonly List<string> _notes = [];

    private ConfigurationReader() { }

    /// <summary>Reads a configuration.</summary>
    /// <param name="yaml">Text of the file.</param>
    /// <param name="overrides"><c>key=value</c>, with dots into the blocks: <c>dataset.path=x</c>.</param>
    /// <param name="preset">Text of a file whose keys hold where neither says otherwise; data set blocks are merged key by key.</param>
    /// <exception cref="ConfigurationException">A key is unknown, a value is of the wrong kind or out of range, or something is not supported.</exception>
    public static ConfigurationReading Read(string yaml, IReadOnlyList<string> overrides, string preset = "")
    {
        ArgumentNullException.ThrowIfNull(overrides);
        var reader = new ConfigurationReader();
        foreach ((YamlNode key, YamlNode value) in Parse(preset, "").Children) reader.Set(Name(key), value, isOverride: true);
        foreach ((YamlNode key, YamlNode value) in Parse(yaml, "").Children) reader.Set(Name(key), value, isOverride: false);
        foreach (string item in overrides)
        {
            int equals = item.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0) throw new ConfigurationException($"'{item}': expected key=value");
            YamlNode value = Parse($"value: {item[(equals + 1)..]}", $"'{item}': ").Children[new YamlScalarNode("value")];
            reader.Set(item[..equals], value, isOverride: true);
        }

        TrainingConfiguration configuration = reader.Build();
        reader._run.RefuseUnknown();
        reader._dataset.RefuseUnknown();
        reader._evalDataset.RefuseUnknown();
        RefuseContradictions(configuration);
        return new ConfigurationReading(configuration, reader._notes);
    }

    private TrainingConfiguration Build()
    {
        var defaults = new TrainingConfiguration();
        ConfigurationValues run = _run;
        string resizeMode = run.Choice("resize_mode", [.. DatasetConfiguration.ResizeModes]);
        DatasetConfiguration Read(ConfigurationValues block) => DatasetBlock.Read(block) with { PadsPictures = resizeMode == "pad" };
        double learningRate = run.Number("learning_rate", defaults.LearningRate, 0, 10);
        return new TrainingConfiguration
        {
            ModelNameOrPath = run.Text("model_name_or_path", ""),
            AdapterNameOrPath = run.Text("adapter_name_or_path", "") is { Length: > 0 } adapter ? adapter : null,
            Dataset = Read(_dataset),
            EvalDataset = _evalDataset.Contains("path") ? Read(_evalDataset) : null,
            ValSize = run.Steps("val_size", 0, 0),
            OutputDir = run.Text("output_dir", ""),
            LoadIn4Bit = run.Flag("load_in_4bit", false),
            LoadIn8Bit = run.Flag("load_in_8bit", false),
            Bnb4BitUseDoubleQuant = run.Flag("bnb_4bit_use_double_quant", true),
            MmTokensPerImage = run.Int("mm_tokens_per_image", 0, 0, 1 << 16),
            ImageWindow = ImageWindow(),
            ResizeMode = resizeMode,
            ExifOrientation = run.Flag("exif_orientation", false),
            Bf16 = run.Flag("bf16", false),
            Fp16 = run.Flag("fp16", false),
            QuantizeHead = run.Choice("quantize_head", "none", "int8"),
            OverwriteOutputDir = run.Flag("overwrite_output_dir", false),
            LoraRank = run.Int("lora_rank", defaults.LoraRank, 1, 4096),
            LoraAlpha = run.Number("lora_alpha", defaults.LoraAlpha, 1e-6, 1e6),
            LoraDropout = run.Number("lora_dropout", 0, 0, 0.99),
            UseRslora = run.Flag("use_rslora", false),
            TargetModules = TargetModules(run.Texts("target_modules", defaults.TargetModules)),
            PeftLayout = run.Choice("peft_layout", "default", "legacy"),
            PerDeviceTrainBatchSize = run.Int("per_device_train_batch_size", 8, 1, 1 << 16),
            PerDeviceEvalBatchSize = run.Int("per_device_eval_batch_size", 8, 1, 1 << 16),
            GradientAccumulationSteps = run.Int("gradient_accumulation_steps", 1, 1, 1 << 16),
            LossReduction = run.Choice("loss_reduction", "mean_of_means", "token_weighted") == "mean_of_means"
                ? LossReduction.MeanOfMeans
                : LossReduction.TokenWeighted,
            LossOn = run.Choice("loss_on", "assistant_only", "assistant_turn", "all_text") switch
            {
                "assistant_turn" => LossTokens.AssistantTurn,
                "all_text" => LossTokens.AllText,
                _ => LossTokens.AssistantOnly,
            },
            MaxLength = run.Int("max_length", 0, 0, 1 << 26),
            LearningRate = learningRate,
            LrSchedulerType = run.Choice("lr_scheduler_type", "linear", "cosine", "constant", "constant_with_warmup", "cosine_with_min_lr"),
            MinLrRate = MinLrRate(learningRate),
            WarmupRatio = run.Number("warmup_ratio", 0, 0, 1),
            WarmupSteps = run.Steps("warmup_steps", 0, 0),
            NumTrainEpochs = run.Number("num_train_epochs", 3, 1e-6, 1e6),
            MaxSteps = run.Int("max_steps", -1, -1, int.MaxValue),
            MaxGradNorm = run.Number("max_grad_norm", 1, 0, 1e9),
            WeightDecay = run.Number("weight_decay", 0, 0, 100),
            Optim = Optimizer(),
            AdamBeta1 = run.Number("adam_beta1", 0.9, 0, 0.999999),
            AdamBeta2 = run.Number("adam_beta2", 0.999, 0, 0.99999999),
            AdamEpsilon = run.Number("adam_epsilon", 1e-8, 0, 1),
            SamplesAtOnce = run.Int("samples_at_once", 0, 0, 1 << 16),
            LossChunkRows = run.Int("loss_chunk_rows", 0, 0, 1 << 16),
            Memory = run.Text("memory", "") is { Length: > 0 } memory ? MemorySize.Parse(memory, "memory") : 0,
            GradientCheckpointing = run.Flag("gradient_checkpointing", false),
            CacheImageFeatures = run.Text("cache_image_features", "auto") == "auto" || run.Flag("cache_image_features", true),
            LoggingSteps = run.Steps("logging_steps", defaults.LoggingSteps, 1e-9),
            EvalStrategy = run.Choice("eval_strategy", "no", "steps", "epoch"),
            EvalSteps = run.Steps("eval_steps", defaults.EvalSteps, 1e-9),
            MaxEvalSamples = run.Int("max_eval_samples", 0, 0, int.MaxValue),
            SaveStrategy = run.Choice("save_strategy", "steps", "epoch", "no"),
            SaveSteps = run.Steps("save_steps", defaults.SaveSteps, 1e-9),
            SaveTotalLimit = run.Int("save_total_limit", 0, 0, int.MaxValue),
            LoadBestModelAtEnd = run.Flag("load_best_model_at_end", false),
            EarlyStoppingPatience = run.Int("early_stopping_patience", 0, 0, int.MaxValue),
            EarlyStoppingThreshold = run.Number("early_stopping_threshold", 0, 0, 1e9),
            SkipBadRows = run.Choice("on_bad_row", "stop", "skip") == "skip",
            TensorBoard = ReportsToTensorBoard(),
            Seed = run.Int("seed", 42, 0, int.MaxValue),
            DataSeed = run.Node("data_seed") is null ? null : run.Int("data_seed", 0, 0, int.MaxValue),
        };
    }

    // LLaMA-Factory has a word for all layers, and writes a list as names with commas between.
    private static IReadOnlyList<string> TargetModules(IReadOnlyList<string> given)
    {
        if (given is ["all"]) return ["all-linear"];
        if (given is not [var single] || !single.Contains(',', StringComparison.Ordinal)) return given;
        string[] names = single.Split(',', StringSplitOptions.TrimEntries);
        return names.All(name => name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.')) ? names : given;
    }

    private string? ImageWindow()
    {
        try
        {
            return _run.Text("image_window", "") is { Length: > 0 } name ? GreyWindow.Parse(name).Name : null;
        }
        catch (InputException error)
        {
            throw new ConfigurationException($"image_window: {error.Message}");
        }
    }

    // The names that transformers and bitsandbytes have for AdamW. Nothing is paged out here, so paged means no more than its width.
    private string Optimizer()
    {
        string name = _run.Text("optim", TrainingConfiguration.AdamW);
        if (name.StartsWith("paged_", StringComparison.Ordinal)) _notes.Add($"optim: {name} keeps its state on the device; nothing is paged");
        return name switch
        {
            "adamw" or "adamw_torch" or "adamw_torch_fused" or "adamw_hf" or "paged_adamw" or "paged_adamw_32bit" => TrainingConfiguration.AdamW,
            "adamw_8bit" or "adamw_bnb_8bit" or "paged_adamw_8bit" => TrainingConfiguration.AdamW8Bit,
            _ => throw _run.Wrong("optim", name, $"{TrainingConfiguration.AdamW} or {TrainingConfiguration.AdamW8Bit}"),
        };
    }

    // Transformers takes min_lr or min_lr_rate inside lr_scheduler_kwargs.
    private double MinLrRate(double learningRate)
    {
        double rate = _run.Number("min_lr_rate", 0, 0, 1);
        var values = new ConfigurationValues("lr_scheduler_kwargs.");
        foreach ((string key, string value) in _run.Block("lr_scheduler_kwargs")) values.Set(key, new YamlScalarNode(value));
        if (values.Contains("min_lr_rate")) rate = values.Number("min_lr_rate", 0, 0, 1);
        if (values.Contains("min_lr") && learningRate > 0) rate = values.Number("min_lr", 0, 0, learningRate) / learningRate;
        if (values.Contains("num_cycles") && values.Number("num_cycles", 0.5, 0, 100) is not 0.5)
            throw values.Wrong("num_cycles", values.Text("num_cycles", ""), "0.5");
        _ = (values.Node("min_lr_rate"), values.Node("min_lr"), values.Node("num_cycles"));
        values.RefuseUnknown();
        return rate;
    }

    private bool ReportsToTensorBoard()
    {
        IReadOnlyList<string> targets = _run.Texts("report_to", []);
        string? other = targets.FirstOrDefault(target => target is not ("tensorboard" or "none" or "all"));
        return other is null ? targets.Any(target => target != "none") : throw _run.Wrong("report_to", other, "tensorboard or none");
    }

    private static void RefuseContradictions(TrainingConfiguration configuration)
    {
        if (!configuration.Evaluates && configuration.LoadBestModelAtEnd)
            throw new ConfigurationException("load_best_model_at_end: needs evaluations, but eval_strategy is 'no'; set eval_strategy: steps or epoch");
        if (!configuration.Evaluates && configuration.EarlyStoppingPatience > 0)
            throw new ConfigurationException("early_stopping_patience: needs evaluations, but eval_strategy is 'no'; set eval_strategy: steps or epoch");
        if (configuration is { LoadIn4Bit: true, LoadIn8Bit: true })
            throw new ConfigurationException("load_in_8bit: load_in_4bit is set as well; leave one of the two out, or set it to false");
        if (configuration.ExifOrientation && new[] { configuration.Dataset, configuration.EvalDataset }.Any(data => data is { BoxFormat: "box_2d" } or { Cut: not null }))
            throw new ConfigurationException("exif_orientation: boxes in box_2d, tiles and crops are of pictures as they are stored; leave one of the two out");
        if (configuration is { Bf16: true, Fp16: true }) throw new ConfigurationException("fp16: bf16 is set as well; leave one of the two out, or set it to false");
        if (configuration.MaxSteps == 0) throw new ConfigurationException("max_steps: expected -1 (go by epochs) or at least 1, got '0'");
        if (configuration.EvalDataset is not null && configuration.ValSize > 0)
            throw new ConfigurationException("val_size: rows are held out only where there is no eval_dataset; leave one of the two out");
        if (configuration is { Evaluates: true, EvalDataset: null, ValSize: 0, Dataset.EvalSplit: "" })
        {
            throw new ConfigurationException(
                $"eval_strategy: nothing to evaluate on; give eval_dataset: {{ type: {configuration.Dataset.Type}, path: ... }}, dataset.eval_split or val_size");
        }
    }

    private void Set(string given, YamlNode value, bool isOverride)
    {
        string key = given;
        if (ConfigurationKeys.Aliases.TryGetValue(given, out string? standard))
        {
            _notes.Add($"{given} is {standard} in standard spelling");
            key = standard;
        }

        string scalar = value is YamlScalarNode { Value: { } text } ? text : "";
        string lower = scalar.ToLowerInvariant();
        if (ConfigurationKeys.Translations.TryGetValue((given, lower), out (string Key, string Value) other))
        {
            _notes.Add($"{given}: {lower} is {other.Key}: {other.Value} in standard spelling");
            (key, value) = (other.Key, new YamlScalarNode(other.Value));
        }
        else if (ConfigurationKeys.Unsupported.TryGetValue(given, out string? reason))
        {
            if (ConfigurationValues.IsNull(value) || lower is "false" or "0" or "0.0" or "none") return;
            throw new ConfigurationException($"{given}: {reason}");
        }
        else if (ConfigurationKeys.Fixed.TryGetValue(given, out string[]? values))
        {
            if (values.Length > 0 && !ConfigurationValues.IsNull(value) && !values.Contains(scalar) && !values.Contains(lower))
            {
                string got = scalar.Length > 0 ? scalar : "a list or block";
                throw new ConfigurationException($"{given}: expected {string.Join(" or ", values)}, got '{got}'; nothing else is supported");
            }

            _notes.Add($"{given} is not needed here and has no effect");
            return;
        }

        if (!isOverride && !_givenAs.TryAdd(key, given))
        {
            string spelling = _givenAs[key] == key ? "" : $" as {_givenAs[key]}";
            throw new ConfigurationException($"{given}: {key} was given before{spelling}; leave one of the two out");
        }

        Place(key, value);
    }

    // Blocks go into their own values, whole or by a dotted key.
    private void Place(string key, YamlNode value)
    {
        if (key == "datasets" && value is YamlSequenceNode { Children: [YamlMappingNode only] }) (key, value) = ("dataset", only);
        if (key is "dataset" or "eval_dataset")
        {
            if (ConfigurationValues.IsNull(value)) return;
            if (value is not YamlMappingNode block) throw new ConfigurationException($"{key}: expected a block such as {{ type: flare, path: FOLDER }}");
            foreach ((YamlNode name, YamlNode item) in block.Children) Place($"{key}.{Name(name)}", item);
        }
        else if (key.StartsWith("dataset.", StringComparison.Ordinal)) _dataset.Set(key["dataset.".Length..], value);
        else if (key.StartsWith("eval_dataset.", StringComparison.Ordinal)) _evalDataset.Set(key["eval_dataset.".Length..], value);
        else _run.Set(key, value);
    }

    private static string Name(YamlNode key) =>
        key is YamlScalarNode { Value: { Length: > 0 } name } ? name : throw new ConfigurationException($"line {key.Start.Line}: keys must be plain text");

    private static YamlMappingNode Parse(string yaml, string where)
    {
        var stream = new YamlStream();
        try
        {
            RefuseDepth(yaml, where);
            stream.Load(new StringReader(yaml));
        }
        catch (YamlException error)
        {
            throw new ConfigurationException($"{where}line {error.Start.Line}: not valid YAML: {error.Message}");
        }
        catch (Exception error) when (error is InvalidOperationException or ArgumentException)
        {
            // The library's parser gives up in this way on some damaged files.
            throw new ConfigurationException($"{where}not valid YAML");
        }

        if (stream.Documents.Count == 0 || ConfigurationValues.IsNull(stream.Documents[0].RootNode)) return new YamlMappingNode();
        return stream.Documents[0].RootNode as YamlMappingNode ?? throw new ConfigurationException($"{where}expected a YAML mapping of keys to values");
    }

    private static void RefuseDepth(string yaml, string where)
    {
        var parser = new Parser(new StringReader(yaml));
        int depth = 0;
        while (parser.MoveNext())
        {
            depth += parser.Current!.NestingIncrease;
            if (depth > MaxDepth) throw new ConfigurationException($"{where}line {parser.Current.Start.Line}: values are nested more than {MaxDepth} deep");
            if (parser.Current is AnchorAlias)
                throw new ConfigurationException($"{where}line {parser.Current.Start.Line}: YAML aliases (*name) are not supported; write the value out");
        }
    }
}
