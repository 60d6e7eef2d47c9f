using System.Globalization;
using System.Text.Json.Nodes;
using GemmaCore.Bench;
using GemmaCore.Models;
using GemmaCore.Training.Planning;

namespace GemmaCore.Cli;

/// <summary>The least time that a plan can take: operations over the device's peak of arithmetic, or bytes over that of its memory, whichever is longer. No forecast.</summary>
/// <param name="Peaks">What the device can do at most.</param>
/// <param name="Plan">Of a run.</param>
/// <param name="Answering">Of an answer.</param>
internal sealed record Roofline(MachinePeaks Peaks, MemoryPlan Plan, AnsweringPlan Answering)
{
    private const int Samples = 1000;

    private double StepSeconds => Seconds(Plan.StepWork);

    private int SamplesOfStep => Plan.Configuration.PerDeviceTrainBatchSize * Plan.Configuration.GradientAccumulationSteps;

    private int? Steps => Plan.Configuration.MaxSteps > 0 ? Plan.Configuration.MaxSteps : null;

    public void Write()
    {
        Console.WriteLine("roofline: what these peaks allow at best, not a forecast; real runs are slower");
        Line($"memory, {Peaks.Bandwidth}", string.Create(CultureInfo.InvariantCulture, $"{Peaks.GigabytesPerSecond:N0} GB/s"));
        Line($"arithmetic, {Peaks.Arithmetic}", string.Create(CultureInfo.InvariantCulture, $"{Peaks.GigaflopsPerSecond:N0} GFLOP/s"));
        Line(SamplesOfStep == 1 ? "step of 1 sample" : $"step of {SamplesOfStep} samples", Time(StepSeconds));
        if (Steps is { } steps) Line($"run of {steps} steps", Time(steps * StepSeconds));
        else Line($"{Samples} samples", Time(Samples * StepSeconds / SamplesOfStep));
        if (Plan.PictureWork.Operations > 0) Line("encoding a picture, once before training", Time(Seconds(Plan.PictureWork)));
        if (Answering.Picture.Operations > 0) Line("a picture of a prompt", Time(Seconds(Answering.Picture)));
        Line($"reading a prompt of {Answering.Context} tokens", Rate(Answering.Context / Seconds(Answering.Prompt)));
        Line("answering behind it", Rate(1 / Seconds(Answering.Token)));
    }

    public JsonObject ToJson() => new()
    {
        ["gb_per_s"] = Peaks.GigabytesPerSecond,
        ["gflop_per_s"] = Peaks.GigaflopsPerSecond,
        ["cache_bytes"] = Peaks.CacheBytes,
        ["bandwidth"] = Peaks.Bandwidth,
        ["arithmetic"] = Peaks.Arithmetic,
        ["step"] = Document(Plan.StepWork),
        ["samples_of_step"] = SamplesOfStep,
        ["steps"] = Steps,
        ["run_seconds"] = Steps * StepSeconds,
        ["picture_before_training"] = Plan.PictureWork.Operations > 0 ? Document(Plan.PictureWork) : null,
        ["prompt"] = Document(Answering.Prompt),
        ["prompt_tokens_per_s"] = Answering.Context / Seconds(Answering.Prompt),
        ["token"] = Document(Answering.Token),
        ["tokens_per_s"] = 1 / Seconds(Answering.Token),
        ["picture"] = Answering.Picture.Operations > 0 ? Document(Answering.Picture) : null,
    };

    // Of what is read again and again, caches can keep as much as they hold.
    private double Seconds(PassWork work)
    {
        double fromMemory = work.ReadBytes * Math.Max(0, 1 - (Peaks.CacheBytes / work.HeldBytes));
        return Math.Max(work.Operations / Peaks.GigaflopsPerSecond, fromMemory / Peaks.GigabytesPerSecond) / 1e9;
    }

    private JsonObject Document(PassWork work) => new() { ["operations"] = work.Operations, ["read_bytes"] = work.ReadBytes, ["seconds"] = Seconds(work) };

    private static void Line(string name, string value) => Console.WriteLine($"  {name,-48}{value,12}");

    private static string Rate(double tokens) => tokens >= 100
        ? string.Create(CultureInfo.InvariantCulture, $"{tokens:N0} tok/s")
        : string.Create(CultureInfo.InvariantCulture, $"{tokens:G3} tok/s");

    private static string Time(double seconds) => seconds switch
    {
        < 1 => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1e3:G3} ms"),
        < 600 => string.Create(CultureInfo.InvariantCulture, $"{seconds:G3} s"),
        < 36_000 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:F0} min"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600:F0} h"),
    };
}
