using GemmaCore.Checkpoints;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Planning;

/// <summary>Finds the settings closest to those asked for whose plan fits into an amount of memory.</summary>
public static class MemoryPlanner
{
    // Tokens that still keep a card busy: down to here smaller parts of a micro-batch cost less time than recomputing blocks.
    private const int BusyTokens = 1024;
    private const int LeastChunkRows = 16;

    /// <summary>The plan of a configuration as it is, or with as few concessions as it takes to fit. Batches and base weights are never touched.</summary>
    /// <param name="rehearsal">Makes plans.</param>
    /// <param name="configuration">What is asked for.</param>
    /// <param name="sample">The largest sample.</param>
    /// <param name="limit">Bytes for the peak; null for no limit.</param>
    /// <param name="driverBytes">What of the limit the device's driver takes for itself.</param>
    /// <param name="before">What the run has that goes on: it stays given up, and the optimiser stays what it is.</param>
    /// <param name="words">The limit as a refusal names it; null for its amount.</param>
    /// <exception cref="NothingFitsException">Nothing fits; the message says what the smallest plan takes.</exception>
    public static MemoryPlan Fit(Rehearsal rehearsal, TrainingConfiguration configuration, SampleShape sample, long? limit, long driverBytes = 0, PlannedSettings? before = null, string? words = null)
    {
        ArgumentNullException.ThrowIfNull(rehearsal);
        ArgumentNullException.ThrowIfNull(configuration);
        TrainingConfiguration asked = configuration;
        if (before is not null) configuration = before.Over(configuration);
        List<string> kept = Describe(asked, configuration);
        MemoryPlan plan = rehearsal.Plan(configuration, sample);
        if (limit is not { } whole || plan.PeakBytes <= whole - driverBytes) return plan with { GivenUp = kept, Kept = kept };
        long most = whole - driverBytes;

        var made = new List<Concession>();
        TrainingConfiguration present = configuration;
        foreach (Concession concession in Concessions(configuration, sample, before is null))
        {
            TrainingConfiguration smaller = concession.Apply(present);
            if (smaller == present) continue;
            MemoryPlan tried = rehearsal.Plan(smaller, sample);
            if (tried.PeakBytes >= plan.PeakBytes) continue; // this one gains nothing here
            (present, plan) = (smaller, tried);
            made.Add(concession);
            if (plan.PeakBytes <= most) break;
        }

        if (plan.PeakBytes > most) throw Refuse(rehearsal, plan, words ?? MemorySize.Format(whole), driverBytes);
        for (int i = made.Count - 2; i >= 0; i--)
        {
            // What came before the last one may not have been needed.
            List<Concession> fewer = [.. made.Where((_, index) => index != i)];
            MemoryPlan tried = rehearsal.Plan(fewer.Aggregate(configuration, (settings, concession) => concession.Apply(settings)), sample);
            if (tried.PeakBytes <= most) (plan, made) = (tried, fewer);
        }

        return plan with { GivenUp = Describe(asked, plan.Configuration), Kept = kept };
    }

    // Cheapest first.
    private static IEnumerable<Concession> Concessions(TrainingConfiguration asked, SampleShape sample, bool startsAnew)
    {
        yield return new(settings => settings with { CacheImageFeatures = true });
        int samples = Math.Max(asked.PerDeviceTrainBatchSize, asked.Evaluates ? asked.PerDeviceEvalBatchSize : 1);
        if (asked.SamplesAtOnce > 0) samples = Math.Min(samples, asked.SamplesAtOnce);
        for (; samples > 1 && samples / 2 * sample.Tokens >= BusyTokens; samples /= 2) yield return InPartsOf(samples / 2);
        yield return new(settings => settings with { GradientCheckpointing = true });
        for (; samples > 1; samples /= 2) yield return InPartsOf(samples / 2);
        for (int chunk = 64; chunk >= LeastChunkRows; chunk /= 2)
        {
            int rowsOfChunk = chunk;
            yield return new(settings => settings.LossChunkRows == 0 || settings.LossChunkRows > rowsOfChunk ? settings with { LossChunkRows = rowsOfChunk } : settings);
        }

        if (startsAnew) yield return new(settings => settings with { Optim = TrainingConfiguration.AdamW8Bit });

        static Concession InPartsOf(int samples) => new(settings => settings with { SamplesAtOnce = samples });
    }

    private static List<string> Describe(TrainingConfiguration from, TrainingConfiguration to)
    {
        var lines = new List<string>();
        if (to.CacheImageFeatures != from.CacheImageFeatures) lines.Add("cache_image_features: true instead of false; same results");
        if (to.SamplesAtOnce != from.SamplesAtOnce)
        {
            // Batches of an evaluation may be the larger ones, and the only ones to be cut.
            (string batches, int size) = from.PerDeviceTrainBatchSize > to.SamplesAtOnce
                ? ("micro-batches", from.PerDeviceTrainBatchSize)
                : ("evaluation batches", from.PerDeviceEvalBatchSize);
            int before = from.SamplesAtOnce > 0 ? from.SamplesAtOnce : size;
            lines.Add($"samples_at_once: {to.SamplesAtOnce} instead of {before}: {batches} of {size} are done in parts; same results up to rounding");
        }

        if (to.GradientCheckpointing != from.GradientCheckpointing) lines.Add("gradient_checkpointing: true instead of false; about a third more time");
        if (to.LossChunkRows != from.LossChunkRows)
            lines.Add($"loss_chunk_rows: {to.LossChunkRows} instead of {(from.LossChunkRows == 0 ? "the device's own" : from.LossChunkRows)}; slower loss");
        if (to.Optim != from.Optim) lines.Add($"optim: {to.Optim} instead of {from.Optim}; moments are rounded to 8 bits");
        return lines;
    }

    private static NothingFitsException Refuse(Rehearsal rehearsal, MemoryPlan smallest, string limit, long driverBytes)
    {
        List<string> largest = [.. smallest.Parts.OrderByDescending(part => part.Bytes).Take(3).Select(part => $"{part.Name} {MemorySize.Format(part.Bytes)}")];
        TrainingConfiguration settings = smallest.Configuration;
        string weights = "";
        if (!settings.LoadIn4Bit && Saves(settings with { LoadIn4Bit = true, LoadIn8Bit = false }))
            weights = settings.LoadIn8Bit ? "load_in_4bit: true instead of load_in_8bit, " : "load_in_4bit: true, ";
        if (settings.QuantizeHead == "none" && Saves(settings with { QuantizeHead = "int8" })) weights += "quantize_head: int8, ";
        string smaller = "a smaller lora_rank, fewer target_modules (none of the vision tower), a shorter max_length, ";
        // Before the adapter is there, nothing that is said of it makes a difference.
        if (smallest.PreparationBytes > smallest.TrainingBytes) (largest, smaller) = ([$"loading and encoding pictures {MemorySize.Format(smallest.PreparationBytes)}"], "");
        if (driverBytes > 0) largest.Add($"the driver about {MemorySize.Format(driverBytes)}");
        return new NothingFitsException(
            $"nothing fits into {limit}: the smallest plan takes {MemorySize.Format(smallest.PeakBytes + driverBytes)} ({string.Join(", ", largest)}); use {weights}{smaller}or more memory");

        // A checkpoint may hold codes already: the same ones, or others, which it does not let be rounded again.
        bool Saves(TrainingConfiguration settings)
        {
            try
            {
                return rehearsal.Plan(settings, smallest.Sample).PeakBytes < smallest.PeakBytes;
            }
            catch (CheckpointException)
            {
                return false;
            }
        }
    }

    private sealed record Concession(Func<TrainingConfiguration, TrainingConfiguration> Apply);
}
