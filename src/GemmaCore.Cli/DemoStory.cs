using System.Diagnostics;
using System.Text.Json;
using GemmaCore.Checkpoints;
using GemmaCore.Evaluation;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Cli;

/// <summary>
/// Runs the demo: the recipe is the Python stack's (demo/README.md), so that the figures can be compared: LoRA r 16, α 32 on all linear layers, vision
/// too, 480 rows, batch 8, 5 epochs, AdamW 2e-3, 5 % warm-up and cosine, clip 1.0.
/// </summary>
/// <param name="folder">What the demo leaves goes here.</param>
/// <param name="seed">Seed of the run.</param>
/// <param name="smoke">One question of each data set and two steps of two rows: shows that everything runs, where the whole demo would take too long.</param>
/// <param name="variant">How the base holds its weights.</param>
/// <param name="open">Opens the device anew for each part.</param>
internal sealed class DemoStory(string folder, int seed, bool smoke, ModelVariant variant, Func<Device> open)
{
    private const int BatchSize = 32;

    private static readonly string[] TrainedSets = ["phantom_cells", "phantom_breast"];

    private static string Data => Path.Combine(ModelLocation.Demo, "data");

    public DemoReport Tell(CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        IReadOnlyList<TrainingExample> rows = FlareDataset.Read(Data, "validation-public", [], PromptSet.Question, new RowReport(Skip: false));
        if (smoke) rows = [.. rows.DistinctBy(row => row.Dataset)];
        (string[] before, double beforeSeconds) = Answer(rows, null, $"answering {rows.Count} validation questions with the base", cancellation);

        Say($"training an adapter on {string.Join(" and ", TrainedSets)}");
        long trainStart = Stopwatch.GetTimestamp();
        using TrainingSession session = TrainingSession.Open(Recipe(), open(), Say);
        session.Run(cancellation);
        double trainSeconds = Stopwatch.GetElapsedTime(trainStart).TotalSeconds;
        cancellation.ThrowIfCancellationRequested();

        (string[] after, double afterSeconds) = Answer(rows, folder, "answering again with the adapter", cancellation);
        cancellation.ThrowIfCancellationRequested();
        int sample = Array.FindIndex([.. rows], row => row.Dataset == TrainedSets[0]);
        using var process = Process.GetCurrentProcess();
        var report = new DemoReport
        {
            Smoke = smoke,
            Device = session.DeviceName,
            Precision = session.PrecisionPath,
            Weights = session.WeightFormat,
            TotalSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds,
            BeforeSeconds = beforeSeconds,
            TrainSeconds = trainSeconds,
            AfterSeconds = afterSeconds,
            PeakMemoryBytes = process.PeakWorkingSet64,
            Tasks = [.. rows.Select((row, index) => (row, index)).GroupBy(item => item.row.Dataset).Select(set => Score(set, before, after))],
            Steps = session.State.Step,
            Rows = session.RowCount,
            Seed = seed,
            Loss = [.. session.State.Log.Where(entry => entry.Loss is not null).Select(entry => entry.Loss!.Value)],
            Sample = (ImageOf(rows[sample]), Question(rows[sample]), rows[sample].Answer!, before[sample], after[sample]),
        };
        AtomicFile.WriteAllText(
            Path.Combine(folder, "report.json"), report.ToJson().ToJsonString(new JsonSerializerOptions { WriteIndented = true, IndentSize = 2 }) + "\n");
        return report;
    }

    private static void Say(string line) => Console.Error.WriteLine(line);

    // As a shipped file is called, so that the next commands are short and run in any folder.
    private static string ImageOf(TrainingExample row) =>
        Path.GetRelativePath(AppContext.BaseDirectory, row.Prompt.SelectMany(message => message.Content).OfType<ImagePart>().First().Image.Path!).Replace('\\', '/');

    private static string Question(TrainingExample row) => row.Prompt.SelectMany(message => message.Content).OfType<TextPart>().First().Text;

    // The trained tasks are scored by exact match, as the Python stack's figures are; the others by their own metric.
    private static DemoTask Score(IGrouping<string, (TrainingExample Row, int Index)> set, string[] before, string[] after)
    {
        TaskType task = set.First().Row.Task!.Value;
        bool trained = TrainedSets.Contains(set.Key);
        MetricResult Measure(string[] answers)
        {
            List<(string, string)> pairs = [.. set.Select(item => (item.Row.Answer!, answers[item.Index]))];
            return trained ? TaskMetric.ExactMatch(pairs) : TaskMetric.Score(task, pairs);
        }

        MetricResult first = Measure(before), second = Measure(after);
        return new DemoTask(set.Key, task.Name(), first.Name, first.Rows, trained, first.Value, second.Value);
    }

    private (string[] Answers, double Seconds) Answer(IReadOnlyList<TrainingExample> rows, string? adapter, string what, CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        Device device = open();
        Say(what);
        using GemmaModel model = GemmaModel.Load(Path.Combine(ModelLocation.Demo, "model"), device, variant.Format, variant.Tables);
        if (adapter is not null) model.LoadAdapter(adapter);
        var answers = new List<string>();
        foreach (TrainingExample[] chunk in rows.Chunk(BatchSize))
        {
            cancellation.ThrowIfCancellationRequested();
            IReadOnlyList<GenerationResult> results = model.Generate(
                [.. chunk.Select(row => (model.Prompts.Encode(row.Prompt, addGenerationPrompt: true), new SamplingParams { MaxTokens = 48 }))], null, cancellation);
            answers.AddRange(results.Select(result => result.Text));
        }

        return ([.. answers], Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    private TrainingConfiguration Recipe() => new()
    {
        ModelNameOrPath = "demo",
        OutputDir = folder,
        OverwriteOutputDir = true,
        Dataset = new DatasetConfiguration { Path = "demo", Tasks = TrainedSets, Prompts = "question" },
        LoadIn4Bit = variant.Format is WeightFormat.Nf4 or WeightFormat.Nf4Plain,
        Bnb4BitUseDoubleQuant = variant.Format != WeightFormat.Nf4Plain,
        LoadIn8Bit = variant.Format == WeightFormat.Int8,
        QuantizeHead = variant.Tables == WeightFormat.Int8 ? "int8" : "none",
        LoraRank = 16,
        LoraAlpha = 32,
        PerDeviceTrainBatchSize = smoke ? 2 : 8,
        NumTrainEpochs = 5,
        MaxSteps = smoke ? 2 : -1,
        LearningRate = 2e-3,
        LrSchedulerType = "cosine",
        WarmupRatio = 0.05,
        LossReduction = Training.LossReduction.TokenWeighted,
        LoggingSteps = smoke ? 1 : 20,
        SaveSteps = 100,
        SaveTotalLimit = 1,
        Seed = seed,
    };
}
