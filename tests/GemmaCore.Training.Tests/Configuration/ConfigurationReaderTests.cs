using CsCheck;
using GemmaCore.Testing;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Tests.Configuration;

public class ConfigurationReaderTests
{
    private const string Full = """
        model_name_or_path: google/medgemma-4b-it
        adapter_name_or_path: null            # start from an existing adapter
        dataset: { type: flare, path: data/FLARE-MLLM-2D, tasks: all, max_samples: null }
        output_dir: runs/chest
        lora_rank: 16
        lora_alpha: 16
        lora_dropout: 0.05
        target_modules: all-linear
        per_device_train_batch_size: 1
        gradient_accumulation_steps: 16
        max_length: 512
        learning_rate: 2.0e-4
        lr_scheduler_type: cosine
        warmup_ratio: 0.03
        num_train_epochs: 1
        max_steps: -1
        max_grad_norm: 0.3
        optim: adamw_torch
        gradient_checkpointing: true
        cache_image_features: auto
        eval_strategy: steps
        eval_steps: 200
        save_steps: 200
        save_total_limit: 3
        early_stopping_patience: 0
        report_to: [tensorboard]
        seed: 42
        """;

    private static TrainingConfiguration Read(string yaml, params string[] overrides) => ConfigurationReader.Read(yaml, overrides).Configuration;

    private static string Refused(string yaml, params string[] overrides) =>
        Assert.Throws<ConfigurationException>(() => ConfigurationReader.Read(yaml, overrides)).Message;

    [Fact]
    public void The_documented_file_is_read_whole()
    {
        ConfigurationReading reading = ConfigurationReader.Read(Full, []);
        TrainingConfiguration configuration = reading.Configuration;
        Assert.Empty(reading.Notes);
        Assert.Equal("google/medgemma-4b-it", configuration.ModelNameOrPath);
        Assert.Null(configuration.AdapterNameOrPath);
        Assert.Equal("data/FLARE-MLLM-2D", configuration.Dataset.Path);
        Assert.Empty(configuration.Dataset.Tasks);
        Assert.Equal((16, 16.0, 0.05), (configuration.LoraRank, configuration.LoraAlpha, configuration.LoraDropout));
        Assert.Equal(["all-linear"], configuration.TargetModules);
        Assert.Equal((1, 16, 512), (configuration.PerDeviceTrainBatchSize, configuration.GradientAccumulationSteps, configuration.MaxLength));
        Assert.Equal((2e-4, "cosine", 0.03), (configuration.LearningRate, configuration.LrSchedulerType, configuration.WarmupRatio));
        Assert.Equal((1.0, -1, 0.3), (configuration.NumTrainEpochs, configuration.MaxSteps, configuration.MaxGradNorm));
        Assert.True(configuration is { GradientCheckpointing: true, CacheImageFeatures: true, Evaluates: true, TensorBoard: true, LossOn: LossTokens.AssistantOnly, SkipBadRows: false });
        Assert.Equal((200.0, 200.0, 3, 0, 42), (configuration.EvalSteps, configuration.SaveSteps, configuration.SaveTotalLimit, configuration.EarlyStoppingPatience, configuration.Seed));
    }

    [Fact]
    public void An_empty_file_gives_the_defaults_of_hugging_face()
    {
        TrainingConfiguration configuration = Read("");
        Assert.Equal((5e-5, "linear", 3.0), (configuration.LearningRate, configuration.LrSchedulerType, configuration.NumTrainEpochs));
        Assert.Equal((0.9, 0.999, 1e-8, 0.0), (configuration.AdamBeta1, configuration.AdamBeta2, configuration.AdamEpsilon, configuration.WeightDecay));
        Assert.Equal((8, 8, 1.0), (configuration.PerDeviceTrainBatchSize, configuration.LoraRank, configuration.MaxGradNorm));
    }

    [Fact]
    public void The_shipped_configuration_can_be_read() => Assert.Equal("demo", Read(File.ReadAllText(Goldens.RepositoryPath("configs/demo.yaml"))).ModelNameOrPath);

    [Theory]
    [InlineData("lora_r: 4", "lora_rank")]
    [InlineData("cutoff_len: 4", "max_length")]
    [InlineData("sequence_len: 4", "max_length")]
    [InlineData("micro_batch_size: 4", "per_device_train_batch_size")]
    [InlineData("num_epochs: 4", "num_train_epochs")]
    [InlineData("max_samples: 4", "dataset.max_samples")]
    [InlineData("val_set_size: 0.25", "val_size")]
    [InlineData("train_on_inputs: true", "loss_on: all_text")]
    [InlineData("lora_target_linear: true", "target_modules: all-linear")]
    public void Other_tools_spellings_are_taken_and_reported(string yaml, string standard)
    {
        string note = Assert.Single(ConfigurationReader.Read(yaml, []).Notes);
        Assert.StartsWith(yaml.Split(':')[0], note, StringComparison.Ordinal);
        Assert.Contains(standard, note, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_with_commas_between_are_a_list_of_targets() => Assert.Equal(["q_proj", "v_proj"], Read("lora_target: 'q_proj, v_proj'").TargetModules);

    // flare.md §4, read off the table; what a preset leaves out stays at the reader's default.
    [Theory]
    [InlineData("flare25", 32, 0.1, 32, 2e-5, "cosine", 0.1, 0.01, 500, 2048)]
    [InlineData("flare26", 16, 0.05, 16, 2e-4, "linear", 0.03, 0, 200, 0)]
    public void The_FLARE_presets_are_the_baselines_recipes(
        string name, double alpha, double dropout, int accumulation, double rate, string schedule, double warmup, double decay, double every, int maxLength)
    {
        TrainingConfiguration preset = Read(File.ReadAllText(Goldens.RepositoryPath($"configs/{name}.yaml")));
        Assert.Equal((16, alpha, dropout, 1, accumulation), (preset.LoraRank, preset.LoraAlpha, preset.LoraDropout, preset.PerDeviceTrainBatchSize, preset.GradientAccumulationSteps));
        Assert.Equal((rate, schedule, warmup, decay, 0.3), (preset.LearningRate, preset.LrSchedulerType, preset.WarmupRatio, preset.WeightDecay, preset.MaxGradNorm));
        Assert.Equal((3.0, every, every, maxLength), (preset.NumTrainEpochs, preset.EvalSteps, preset.SaveSteps, preset.MaxLength));
        Assert.True(preset is { LoadIn4Bit: true, Bnb4BitUseDoubleQuant: true, Bf16: true, GradientCheckpointing: true, Optim: "adamw_8bit", LossOn: LossTokens.AssistantTurn });
        Assert.Equal((name, 1), (preset.Dataset.Prompts, preset.Dataset.MaxImagesPerSample));
    }

    [Theory]
    [InlineData("mimic_cxr", "mimic-cxr", "train", "validate")]
    [InlineData("chestxray14", "chestxray14", "train_val", "")]
    [InlineData("chexpert", "chexpert", "train", "valid")]
    [InlineData("csv", "csv", "train", "test")]
    public void Every_type_of_table_has_a_configuration_that_can_be_read(string name, string type, string split, string evalSplit)
    {
        DatasetConfiguration dataset = Read(File.ReadAllText(Goldens.RepositoryPath($"configs/{name}.yaml"))).Dataset;
        Assert.Equal((type, split, evalSplit), (dataset.Type, dataset.Split, dataset.EvalSplit));
        Assert.Contains($"configs/{name}.yaml", File.ReadAllText(Goldens.RepositoryPath("docs/datasets.md")), StringComparison.Ordinal);
    }

    [Fact]
    public void Aliases_set_what_they_mean()
    {
        TrainingConfiguration configuration = Read("lora_r: 5\nmicro_batch_size: 3\nmax_samples: 7\nmask_prompt_tokens: false\nlora_target: [q_proj, v_proj]\noptimizer: adamw_torch");
        Assert.Equal((5, 3, 7, LossTokens.AllText), (configuration.LoraRank, configuration.PerDeviceTrainBatchSize, configuration.Dataset.MaxSamples, configuration.LossOn));
        Assert.Equal(["q_proj", "v_proj"], configuration.TargetModules);
    }

    [Theory]
    [InlineData("adamw", "adamw_torch")]
    [InlineData("adamw_torch_fused", "adamw_torch")]
    [InlineData("paged_adamw_32bit", "adamw_torch")]
    [InlineData("adamw_8bit", "adamw_8bit")]
    [InlineData("adamw_bnb_8bit", "adamw_8bit")]
    [InlineData("paged_adamw_8bit", "adamw_8bit")]
    public void The_names_of_optimisers_of_transformers_are_known(string name, string standard)
    {
        ConfigurationReading reading = ConfigurationReader.Read($"optim: {name}", []);
        Assert.Equal(standard, reading.Configuration.Optim);
        Assert.Equal(name.StartsWith("paged_", StringComparison.Ordinal) ? 1 : 0, reading.Notes.Count);
    }

    [Fact]
    public void A_list_of_one_data_set_is_that_data_set() => Assert.Equal("x", Read("datasets: [{ path: x, type: messages }]").Dataset.Path);

    [Theory]
    [InlineData("lerning_rate: 1e-4", "lerning_rate is not a known key; did you mean learning_rate?")]
    [InlineData("dataset: { pth: x }", "dataset.pth is not a known key; did you mean dataset.path?")]
    [InlineData("lr_scheduler_kwargs: { min_lrr: 1 }", "lr_scheduler_kwargs.min_lrr is not a known key; did you mean lr_scheduler_kwargs.min_lr?")]
    [InlineData("load_in_4bits: true", "did you mean load_in_4bit?")]
    public void An_unknown_key_is_an_error_that_names_the_nearest(string yaml, string message) => Assert.Contains(message, Refused(yaml), StringComparison.Ordinal);

    [Theory]
    [InlineData("learning_rate: fast", "learning_rate: expected a number from 0 to 10, got 'fast'")]
    [InlineData("learning_rate: 1.5.2", "got '1.5.2'")]
    [InlineData("learning_rate: .nan", "got '.nan'")]
    [InlineData("learning_rate: NaN", "got 'NaN'")]
    [InlineData("learning_rate: [1, 2]", "learning_rate: expected one value, got 'a list or block'")]
    [InlineData("lora_rank: 0", "lora_rank: expected a number from 1 to 4096, got '0'")]
    [InlineData("lora_rank: 2.5", "lora_rank: expected a whole number, got '2.5'")]
    [InlineData("lora_rank: ''", "got ''")]
    [InlineData("lora_dropout: 1", "lora_dropout: expected a number from 0 to 0.99, got '1'")]
    [InlineData("gradient_checkpointing: maybe", "expected true or false, got 'maybe'")]
    [InlineData("lr_scheduler_type: polynomial", "got 'polynomial'")]
    [InlineData("optim: sgd", "optim: expected adamw_torch or adamw_8bit, got 'sgd'")]
    [InlineData("memory: 4", "memory: expected an amount such as 4GB or 3.4GiB, got '4'")]
    [InlineData("{ bf16: true, fp16: true }", "fp16: bf16 is set as well; leave one of the two out")]
    [InlineData("quantize_head: nf4", "quantize_head: expected none or int8, got 'nf4'")]
    [InlineData("resize_mode: stretch", "resize_mode: expected square or pad, got 'stretch'")]
    [InlineData("report_to: wandb", "report_to: expected tensorboard or none, got 'wandb'")]
    [InlineData("dataset: { type: parquet }", "dataset.type: expected flare, messages, sharegpt, mimic-cxr, chestxray14, chexpert or csv, got 'parquet'")]
    [InlineData("dataset: alpaca_en", "dataset: expected a block")]
    [InlineData("eval_steps: 1.5", "a whole number of steps, or a share of all steps below 1")]
    [InlineData("max_steps: 0", "max_steps")]
    [InlineData("precision: int4", "precision: expected auto or fp32 or float32, got 'int4'")]
    [InlineData("adapter: qlora", "got 'qlora'")]
    [InlineData("metric_for_best_model: accuracy", "got 'accuracy'")]
    public void A_bad_value_is_an_error_with_key_value_and_expectation(string yaml, string message) => Assert.Contains(message, Refused(yaml), StringComparison.Ordinal);

    [Theory]
    [InlineData("packing")]
    [InlineData("use_dora")]
    [InlineData("freeze_vision_tower")]
    public void What_cannot_be_honoured_is_refused_when_asked_for_and_ignored_when_not(string key)
    {
        Assert.StartsWith(key + ": ", Refused($"{key}: true"), StringComparison.Ordinal);
        foreach (string off in (string[])["false", "null", "", "0", "False"]) Assert.Empty(ConfigurationReader.Read($"{key}: {off}", []).Notes);
    }

    [Theory]
    [InlineData("load_in_4bit: true", true, false, true)]
    [InlineData("quantization_bit: 4", true, false, true)]
    [InlineData("quantization_bit: 8", false, true, true)]
    [InlineData("{ load_in_4bit: true, double_quantization: false, bnb_4bit_quant_type: nf4, bnb_4bit_compute_dtype: bfloat16 }", true, false, false)]
    [InlineData("load_in_8bit: false", false, false, true)]
    public void A_quantised_base_is_asked_for_in_every_tool_s_words(string yaml, bool fourBits, bool eightBits, bool doubleQuant)
    {
        TrainingConfiguration configuration = Read(yaml);
        Assert.Equal((fourBits, eightBits, doubleQuant), (configuration.LoadIn4Bit, configuration.LoadIn8Bit, configuration.Bnb4BitUseDoubleQuant));
    }

    [Theory]
    [InlineData("{ load_in_4bit: true, load_in_8bit: true }", "load_in_4bit is set as well")]
    [InlineData("quantization_bit: 3", "expected 4 (NF4) or 8 (8-bit rows)")]
    [InlineData("{ load_in_4bit: true, bnb_4bit_quant_type: fp4 }", "expected nf4, got 'fp4'")]
    public void A_quantisation_that_is_not_one_is_refused(string yaml, string message) => Assert.Contains(message, Refused(yaml), StringComparison.Ordinal);

    [Fact]
    public void A_preset_holds_where_neither_file_nor_command_line_says_otherwise()
    {
        const string preset = "lora_rank: 4\nlearning_rate: 2.0e-4\nseed: 7\ndataset: { type: messages, path: theirs }", yaml = "lora_r: 8\ndataset: { path: ours }";
        TrainingConfiguration configuration = ConfigurationReader.Read(yaml, ["learning_rate=1e-3"], preset).Configuration;
        Assert.Equal((8, 1e-3, 7), (configuration.LoraRank, configuration.LearningRate, configuration.Seed));
        Assert.Equal(("messages", "ours"), (configuration.Dataset.Type, configuration.Dataset.Path));
        Assert.Throws<ConfigurationException>(() => ConfigurationReader.Read("lora_rank: 8\nlora_r: 8", [], preset)); // twice in one file is still a mistake
    }

    [Fact]
    public void Neftune_is_refused_with_a_number() => Assert.Contains("noise", Refused("neftune_noise_alpha: 5"), StringComparison.Ordinal);

    [Theory]
    [InlineData("load_best_model_at_end: true")]
    [InlineData("early_stopping_patience: 2")]
    [InlineData("exif_orientation: true\ndataset: { type: flare, path: a, box_format: box_2d }")]
    [InlineData("exif_orientation: true\ndataset: { type: flare, path: a, crops: [2] }")]
    [InlineData("exif_orientation: true\ndataset: { type: flare, path: a }\neval_dataset: { type: flare, path: b, box_format: box_2d }")]
    [InlineData("eval_strategy: steps\ndataset: { type: messages, path: a.jsonl }")]
    [InlineData("eval_strategy: steps\nval_size: 0.1\neval_dataset: { path: a }")]
    [InlineData("lora_rank: 8\nlora_r: 8")]
    public void Contradictions_are_errors(string yaml) => Assert.NotEmpty(Refused(yaml));

    [Theory]
    [InlineData("a: [1", "not valid YAML")]
    [InlineData("- 1\n- 2", "mapping")]
    [InlineData("just text", "mapping")]
    [InlineData("lora_rank: 1\nlora_rank: 2", "")]
    [InlineData("seed: &x 1\nlora_rank: *x", "aliases")]
    public void What_is_no_mapping_is_one_clear_error(string yaml, string part)
    {
        string message = Refused(yaml);
        Assert.Contains(part, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Very_deep_nesting_is_refused_not_a_crash() => Assert.Contains("nested", Refused("a: " + new string('[', 100_000)), StringComparison.Ordinal);

    [Fact]
    public void Overrides_win_and_reach_into_blocks()
    {
        TrainingConfiguration configuration = Read(Full, "learning_rate=1e-3", "lora_r=4", "dataset.tasks=[a, b]", "dataset.path=x=y", "eval_dataset.path=z", "report_to=none", "max_length=null");
        Assert.Equal((1e-3, 4, "x=y", 0), (configuration.LearningRate, configuration.LoraRank, configuration.Dataset.Path, configuration.MaxLength));
        Assert.Equal(["a", "b"], configuration.Dataset.Tasks);
        Assert.Equal("z", configuration.EvalDataset!.Path);
        Assert.False(configuration.TensorBoard);
    }

    [Theory]
    [InlineData("learning_rate")]
    [InlineData("=1")]
    [InlineData("learning_rat=1")]
    [InlineData("dataset.pat=1")]
    [InlineData("learning_rate=[1")]
    public void A_bad_override_is_an_error(string text) => Assert.NotEmpty(Refused(Full, text));

    [Fact]
    public void Minimum_rate_is_taken_as_share_or_as_rate()
    {
        Assert.Equal(0.1, Read("lr_scheduler_kwargs: { min_lr_rate: 0.1 }").MinLrRate);
        Assert.Equal(0.25, Read("learning_rate: 4e-4\nlr_scheduler_kwargs: { min_lr: 1e-4 }").MinLrRate, 1e-15);
    }

    [Fact]
    public void Intervals_become_whole_steps()
    {
        TrainingConfiguration configuration = Read("eval_strategy: epoch\nsave_strategy: no\nlogging_steps: 0.05\nwarmup_ratio: 0.03").InSteps(101, 20);
        Assert.Equal((20.0, (double)int.MaxValue, 6.0, 4.0), (configuration.EvalSteps, configuration.SaveSteps, configuration.LoggingSteps, configuration.WarmupSteps));
        Assert.Equal(7, Read("warmup_ratio: 0.5\nwarmup_steps: 7").InSteps(101, 20).WarmupSteps);
        Assert.Equal(11, Read("warmup_steps: 0.1").InSteps(101, 20).WarmupSteps);
    }

    [Fact]
    public void A_resolved_configuration_reads_back_the_same()
    {
        foreach (string yaml in (string[])[Full, "", "loss_on: assistant_turn", "loss_on: all_text\non_bad_row: skip\nloss_reduction: token_weighted\nval_size: 0.1\ndata_seed: 5\neval_strategy: epoch\n"
            + "dataset: { tasks: [a, 'b: c'], prompt_overrides: { system: 'x: y', detection: '{question}' } }\ntarget_modules: '.*\\.(q|v)_proj'"])
        {
            string resolved = ConfigurationWriter.ToYaml(Read(yaml));
            Assert.Equal(resolved, ConfigurationWriter.ToYaml(Read(resolved)));
        }

        Assert.Equal("all_text", (string?)ConfigurationWriter.ToJson(Read("loss_on: all_text"))["loss_on"]);
        Assert.Equal(0.9, (double?)ConfigurationWriter.ToJson(Read(""))["adam_beta1"]);
    }

    [Fact]
    public void Damaged_files_give_a_configuration_or_a_clear_error() =>
        Gen.Select(Gen.Int[0, Full.Length - 1], Gen.Int[0, 20], Gen.String[Gen.Char["{}[]:,- \n'\"&*!|>%@#ae01.\t\0é"], 0, 6]).Sample((at, length, text) =>
        {
            try
            {
                ConfigurationReader.Read(string.Concat(Full.AsSpan(0, at), text, Full.AsSpan(Math.Min(at + length, Full.Length))), []);
            }
            catch (ConfigurationException)
            {
                // Refusing is the point.
            }
        }, iter: 3000);
}
