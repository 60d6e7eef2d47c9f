using GemmaCore.Cuda;
using GemmaCore.Testing;
using GemmaCore.Training;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Planning;

namespace GemmaCore.Proof;

/// <summary>
/// The presets for small cards with a whole model on simulated cards: everything is allocated and every kernel is launched, of which those of two layers of a short
/// prompt are executed, since a simulator takes days for the rest. What the driver counted stands beside the plan.
/// </summary>
internal static class PlannedCards
{
    // Tokens behind the picture of the sample whose first layers are executed.
    private const int ShortTail = 8;

    private static readonly (string Preset, string Card, long Limit)[] Cards = [("4gb", "gtx1650/round_robin", 3_400_000_000), ("t4", "t4/round_robin", 11_000_000_000)];

    /// <param name="folder">The checkpoint.</param>
    /// <param name="layers">Its layers.</param>
    public static int Print(string folder, int layers)
    {
        TestDevices.ChecksMemory = false;
        Circumstances.Print("tools/plan_4b.sh");
        Console.WriteLine("| preset | card | planned peak | counted by the driver | of the plan | limit | launches | executed | seconds | |");
        Console.WriteLine("|---|---|---:|---:|---:|---:|---:|---:|---:|---|");
        bool holds = true;
        foreach ((string preset, string card, long limit) in Cards) holds &= PrintOne(folder, layers, preset, card, limit);
        return holds ? 0 : 1;
    }

    private static bool PrintOne(string folder, int layers, string preset, string name, long limit)
    {
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        TrainingConfiguration asked = ConfigurationReader.Read(TrainingPreset.Find(preset)!, []).Configuration;
        using CudaDevice card = TestDevices.OpenCard(name);
        int ordinal = card.Card.Ordinal, tokensPerImage = asked.MmTokensPerImage > 0 ? asked.MmTokensPerImage : 256;
        var sample = SampleShape.OfLength(asked.MaxLength, 1, tokensPerImage);
        MemoryPlan plan = MemoryPlanner.Fit(PlannedRun.Rehearse(folder, card), asked, sample, limit);
        Simulator.ExecuteLaunches(ordinal, 0);
        using var run = new PlannedRun(folder, card, plan.Configuration, sample);
        LoraTrainer trainer = run.Start(plan);
        trainer.Step([run.Batch()], 1e-3f);

        EncodedExample[] few = [run.Example(tokensPerImage + ShortTail)];
        long before = Simulator.LaunchCount(ordinal);
        trainer.Evaluate([few]);
        long executed = 2 * (Simulator.LaunchCount(ordinal) - before) / layers;
        Simulator.ExecuteLaunches(ordinal, executed);
        trainer.Evaluate([few]);

        long counted = Simulator.MostDeviceBytes(ordinal);
        double share = counted / (double)plan.PeakBytes;
        bool holds = share is >= 0.95 and <= 1.05 && counted <= limit;
        Console.WriteLine($"| {preset} | {card.Card.Name} | {Size(plan.PeakBytes)} | {Size(counted)} | {share:P1} | {Size(limit)} | {Simulator.LaunchCount(ordinal)} | {executed} "
            + $"| {System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds:F0} | {(holds ? "pass" : "**outside**")} |");
        return holds;

        static string Size(long bytes) => $"{bytes / 1e9:F3} GB";
    }
}
