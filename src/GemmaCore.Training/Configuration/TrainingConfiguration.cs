using System.Text.Json.Serialization;
using GemmaCore.Models;

namespace GemmaCore.Training.Configuration;

/// <summary>
/// Everything a training run was asked to do. Properties are the snake_case keys of Hugging Face's TrainingArguments, PEFT's LoraConfig and TRL's
/// SFTConfig in PascalCase; defaults are theirs unless the comment says otherwise.
/// </summary>
public sealed record TrainingConfiguration
{
    /// <summary>Base model: folder or hub id.</summary>
    public string ModelNameOrPath { get; init; } = "";

    /// <summary>Adapter to go on from; null to start anew.</summary>
    public string? AdapterNameOrPath { get; init; }

    /// <summary>What to train on.</summary>
    public DatasetConfiguration Dataset { get; init; } = new();

    /// <summary>What to evaluate on; null for <see cref="DatasetConfiguration.EvalSplit"/> of the data set, or <see cref="ValSize"/>.</summary>
    public DatasetConfiguration? EvalDataset { get; init; }

    /// <summary>Training rows held out for evaluation: a share below 1, or a number of rows; 0 for none.</summary>
    public double ValSize { get; init; }

    /// <summary>Where the run's files go.</summary>
    public string OutputDir { get; init; } = "";

    /// <summary>Hold the frozen weights of linear layers in NF4 (QLoRA, arXiv:2305.14314).</summary>
    [JsonPropertyName("load_in_4bit")]
    public bool LoadIn4Bit { get; init; }

    /// <summary>Hold the frozen weights of linear layers in 8-bit rows.</summary>
    [JsonPropertyName("load_in_8bit")]
    public bool LoadIn8Bit { get; init; }

    /// <summary>Quantise NF4's magnitudes too; unlike transformers' default, which is false.</summary>
    [JsonPropertyName("bnb_4bit_use_double_quant")]
    public bool Bnb4BitUseDoubleQuant { get; init; } = true;

    /// <summary><c>none</c>, or <c>int8</c>: hold embeddings and head in 8-bit rows, as the presets for small cards do.</summary>
    public string QuantizeHead { get; init; } = "none";

    /// <summary>Whether a run that starts anew may remove the checkpoints of an unfinished one from <see cref="OutputDir"/>.</summary>
    public bool OverwriteOutputDir { get; init; }

    /// <summary>LoRA rank.</summary>
    public int LoraRank { get; init; } = 8;

    /// <summary>LoRA alpha.</summary>
    public double LoraAlpha { get; init; } = 8;

    /// <summary>Dropout on the adapters' input.</summary>
    public double LoraDropout { get; init; }

    /// <summary>Scale by alpha / √rank.</summary>
    public bool UseRslora { get; init; }

    /// <summary>Names, one regular expression, or <c>all-linear</c>.</summary>
    public IReadOnlyList<string> TargetModules { get; init; } = ["all-linear"];

    /// <summary>Spelling of module paths in the adapter: <c>default</c> or <c>legacy</c>.</summary>
    public string PeftLayout { get; init; } = "default";

    /// <summary>Samples of a micro-batch.</summary>
    public int PerDeviceTrainBatchSize { get; init; } = 8;

    /// <summary>Samples of an evaluation pass.</summary>
    public int PerDeviceEvalBatchSize { get; init; } = 8;

    /// <summary>Micro-batches of a step.</summary>
    public int GradientAccumulationSteps { get; init; } = 1;

    /// <summary><c>mean_of_means</c> or <c>token_weighted</c>.</summary>
    public LossReduction LossReduction { get; init; }

    /// <summary>Teach the answers only (<c>assistant_only</c>), with the line end behind them (<c>assistant_turn</c>, as FLARE's baselines), or all text (<c>all_text</c>).</summary>
    public LossTokens LossOn { get; init; }

    /// <summary>Longest sample in tokens; 0 for no limit.</summary>
    public int MaxLength { get; init; }

    /// <summary>Peak learning rate.</summary>
    public double LearningRate { get; init; } = 5e-5;

    /// <summary>Shape of the schedule.</summary>
    public string LrSchedulerType { get; init; } = "linear";

    /// <summary><c>cosine_with_min_lr</c>: the rate at the end as a share of the peak.</summary>
    public double MinLrRate { get; init; }

    /// <summary>Share of all steps to warm up over; used when <see cref="WarmupSteps"/> is 0.</summary>
    public double WarmupRatio { get; init; }

    /// <summary>Steps to warm up over; below 1 a share of all steps.</summary>
    public double WarmupSteps { get; init; }

    /// <summary>Passes over the data.</summary>
    public double NumTrainEpochs { get; init; } = 3;

    /// <summary>Steps; −1 to go by epochs.</summary>
    public int MaxSteps { get; init; } = -1;

    /// <summary>Gradients are clipped to this norm; 0 for none.</summary>
    public double MaxGradNorm { get; init; } = 1;

    /// <summary>Decoupled weight decay.</summary>
    public double WeightDecay { get; init; }

    /// <summary><see cref="Optim"/> with moments in fp32.</summary>
    public const string AdamW = "adamw_torch";

    /// <summary><see cref="Optim"/> with moments in 8 bits.</summary>
    public const string AdamW8Bit = "adamw_8bit";

    /// <summary><see cref="AdamW"/> or <see cref="AdamW8Bit"/>.</summary>
    public string Optim { get; init; } = AdamW;

    /// <summary>AdamW β1.</summary>
    public double AdamBeta1 { get; init; } = 0.9;

    /// <summary>AdamW β2.</summary>
    public double AdamBeta2 { get; init; } = 0.999;

    /// <summary>AdamW ε.</summary>
    public double AdamEpsilon { get; init; } = 1e-8;

    /// <summary>
    /// Samples of a micro-batch that go through the model together, which changes memory and not results; 0 for the whole micro-batch. Ours.
    /// </summary>
    public int SamplesAtOnce { get; init; }

    /// <summary>Rows whose logits exist together; 0 for what suits the device. Ours.</summary>
    public int LossChunkRows { get; init; }

    /// <summary>Memory the run may take of its device, in bytes; 0 for what is free. Ours.</summary>
    public long Memory { get; init; }

    /// <summary>How the base model is loaded.</summary>
    [JsonIgnore]
    public ModelVariant Variant => new(
        this switch
        {
            { LoadIn8Bit: true } => WeightFormat.Int8,
            { LoadIn4Bit: true, Bnb4BitUseDoubleQuant: true } => WeightFormat.Nf4,
            { LoadIn4Bit: true } => WeightFormat.Nf4Plain,
            _ => WeightFormat.AsStored,
        }, QuantizeHead == "int8" ? WeightFormat.Int8 : WeightFormat.AsStored, MmTokensPerImage);

    /// <summary>Tokens a picture becomes; 0 for as many as the model's configuration says.</summary>
    public int MmTokensPerImage { get; init; }

    /// <summary>How grey values of more than 8 bits become bytes (<see cref="Inputs.GreyWindow"/>); null for what each picture's kind asks for.</summary>
    public string? ImageWindow { get; init; }

    /// <summary><c>square</c>: pictures are squashed to a square, as transformers does it; <c>pad</c>: they stand in the middle of a black one, as on Google's server.</summary>
    public string ResizeMode { get; init; } = "square";

    /// <summary>Turn pictures as their EXIF orientation says; transformers does not.</summary>
    public bool ExifOrientation { get; init; }

    /// <summary>Asks for bf16 arithmetic. What a device computes in is its own (see <c>PrecisionPath</c>); where that is another, the run says so.</summary>
    public bool Bf16 { get; init; }

    /// <summary>Asks for fp16 arithmetic; see <see cref="Bf16"/>.</summary>
    public bool Fp16 { get; init; }

    /// <summary>Recompute blocks in the backward pass.</summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>Keep features of pictures when the vision tower is frozen.</summary>
    public bool CacheImageFeatures { get; init; } = true;

    /// <summary>Steps between log lines; below 1 a share of all steps.</summary>
    public double LoggingSteps { get; init; } = 10;

    /// <summary><c>no</c>, <c>steps</c> or <c>epoch</c>.</summary>
    public string EvalStrategy { get; init; } = "no";

    /// <summary>True when there is anything to evaluate.</summary>
    [JsonIgnore]
    public bool Evaluates => EvalStrategy != "no";

    /// <summary>Steps between evaluations; below 1 a share of all steps.</summary>
    public double EvalSteps { get; init; } = 200;

    /// <summary>Most rows to evaluate on; 0 for all.</summary>
    public int MaxEvalSamples { get; init; }

    /// <summary><c>no</c>, <c>steps</c> or <c>epoch</c>; the end of the run is saved in any case.</summary>
    public string SaveStrategy { get; init; } = "steps";

    /// <summary>Steps between checkpoints; below 1 a share of all steps.</summary>
    public double SaveSteps { get; init; } = 200;

    /// <summary>Checkpoints to keep; 0 for all.</summary>
    public int SaveTotalLimit { get; init; }

    /// <summary>Leave the adapter with the lowest evaluation loss in the output folder.</summary>
    public bool LoadBestModelAtEnd { get; init; }

    /// <summary>Stop after this many evaluations without improvement; 0 for never.</summary>
    public int EarlyStoppingPatience { get; init; }

    /// <summary>An evaluation loss counts as better when it is lower by more than this.</summary>
    public double EarlyStoppingThreshold { get; init; }

    /// <summary>Leave out unreadable rows instead of stopping.</summary>
    public bool SkipBadRows { get; init; }

    /// <summary>Write TensorBoard event files.</summary>
    public bool TensorBoard { get; init; }

    /// <summary>Seed of initial values and dropout, and of the order where <see cref="DataSeed"/> is null.</summary>
    public int Seed { get; init; } = 42;

    /// <summary>Seed of the order of rows and of the rows held out.</summary>
    public int? DataSeed { get; init; }

    /// <summary>
    /// The same run in whole steps: shares of all steps rounded up, epochs counted in steps, as the Hugging Face trainer does it. What never happens
    /// gets an interval of <see cref="int.MaxValue"/>.
    /// </summary>
    public TrainingConfiguration InSteps(int totalSteps, int stepsPerEpoch)
    {
        double Whole(double steps) => steps is > 0 and < 1 ? Math.Ceiling(totalSteps * steps) : Math.Max(steps, 0);
        double Interval(string strategy, double steps) => strategy switch
        {
            "no" => int.MaxValue,
            "epoch" => stepsPerEpoch,
            _ => Math.Max(1, Whole(steps)),
        };
        return this with
        {
            WarmupSteps = WarmupSteps > 0 ? Whole(WarmupSteps) : Math.Ceiling(totalSteps * WarmupRatio),
            LoggingSteps = Interval("steps", LoggingSteps),
            EvalSteps = Interval(EvalStrategy, EvalSteps),
            SaveSteps = Interval(SaveStrategy, SaveSteps),
        };
    }
}
