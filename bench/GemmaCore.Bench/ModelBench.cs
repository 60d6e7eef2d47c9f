using System.Diagnostics;
using System.Runtime.InteropServices;
using GemmaCore.Checkpoints;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Training;

namespace GemmaCore.Bench;

/// <summary>
/// A whole model with random weights: prefill of 512 tokens, decode at depth 512, LoRA steps (r 16 on the seven linears, AdamW) at 128 and 512 tokens, on a
/// card also 2048, unless that is not wanted. The smallest shapes are 24, 2 and 16 tokens. A name is a preset and may end in a weight format, then in head8 for
/// embeddings and head in int8: medgemma-4b:nf4:head8.
/// </summary>
public static class ModelBench
{
    private const int Repeats = 5;

    private static readonly string[] TextLinears = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    public static bool Knows(string name) =>
        name.Split(':') is [var preset, .. var formats] && ModelPreset.Find(preset) is not null && formats.All(format => format is "nf4" or "int8" or "int8-128" or "head8");

    public static void Run(string name, RandomModels models, Stopclock clock, bool training)
    {
        string[] parts = name.Split(':');
        string presetName = parts[0];
        WeightFormat format = parts.Contains("nf4") ? WeightFormat.Nf4
            : parts.Contains("int8") ? WeightFormat.Int8
            : parts.Contains("int8-128") ? WeightFormat.Int8Group
            : WeightFormat.AsStored;
        WeightFormat tables = parts.Contains("head8") ? WeightFormat.Int8 : WeightFormat.AsStored;
        using LanguageModel model = ModelFolder.Load(models.FolderOf(presetName), clock.Device, format, tables);
        clock.Report.ModelHeading($"{presetName}, {(format == WeightFormat.AsStored ? "bf16" : format.ToString().ToLowerInvariant())} weights{(tables == WeightFormat.Int8 ? ", head in int8" : "")}");
        Inference(model, clock);
        if (!training) return;
        foreach (int length in clock.Choose([128, 512], [128, 512, 2048], [16])) TrainStep(model, length, clock);
    }

    private static void Inference(LanguageModel model, Stopclock clock)
    {
        MachinePeaks peaks = clock.Peaks;
        int repeats = clock.Tiny ? 1 : Repeats, length = clock.Tiny ? 24 : 512, steps = clock.Tiny ? 2 : 32;
        using var arena = new Arena(model.Device);
        using var best = new DeviceBuffer(model.Device, new Shape(1, 1), DType.I32);
        int[] id = new int[1];
        var batch = new TokenBatch();
        int[] prompt = [.. Enumerable.Range(0, length).Select(i => i * 7919 % model.Layout.VocabularySize)];
        // What a token must read: every linear's weight and the head. What it must compute: two operations a weight.
        double weights = model.Linears.Sum(linear => linear.Weight.Shape.ElementCount), head = model.Head.Shape.ElementCount;
        var prefill = new List<double>();
        var decode = new List<double>();
        long allocated = 0;
        int tokens = 0;
        for (int repeat = 0; repeat < repeats + 1; repeat++)
        {
            clock.Continue();
            using KvCache cache = model.CreateCache(length + 64);
            long start = Stopwatch.GetTimestamp();
            Pass(model, batch, arena, prompt, cache, best, id);
            if (repeat > 0) prefill.Add(length / Stopwatch.GetElapsedTime(start).TotalSeconds);
            for (int i = 0; i < steps; i++)
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                start = Stopwatch.GetTimestamp();
                Pass(model, batch, arena, id, cache, best, id);
                double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
                if (repeat == 0) continue; // compiled, caches grown
                allocated += GC.GetAllocatedBytesForCurrentThread() - before;
                decode.Add(1 / seconds);
                tokens++;
            }
        }

        prefill.Sort();
        decode.Sort();
        double flops = ((2 * weights * length) + (2 * head)) / length, bytes = model.Linears.Sum(linear => linear.Weight.ByteCount) + model.Head.ByteCount;
        clock.Report.ModelRow(
            $"prefill {length}", "tokens/s", prefill[0], prefill[prefill.Count / 2], prefill[^1],
            $"{prefill[prefill.Count / 2] * flops / 1e9 / peaks.GigaflopsPerSecond:P0} of {peaks.Arithmetic}", "");
        clock.Report.ModelRow(
            $"decode at {length}", "tokens/s", decode[0], decode[decode.Count / 2], decode[^1],
            $"{decode[decode.Count / 2] * bytes / 1e9 / peaks.GigabytesPerSecond:P0} of {peaks.Bandwidth}", $"{allocated / Math.Max(1, tokens)} bytes");
    }

    private static void Pass(LanguageModel model, TokenBatch batch, Arena arena, ReadOnlySpan<int> ids, KvCache cache, DeviceBuffer best, int[] id)
    {
        arena.Reset();
        batch.Clear();
        batch.Add(ids, -1, cache);
        // As the generator does it: a step of one token is replayed as a graph, and its token read back.
        if (ids.Length == 1) model.Device.BeginRepeatable(1);
        int last = ids.Length - 1;
        TensorView hidden = model.Forward(batch, arena, null);
        TensorView logits = arena.Take(new Shape(1, model.Layout.VocabularySize));
        model.Logits(hidden.Slice(last, 1), logits);
        TopK.Forward(logits, best.View, default, default);
        model.Device.CopyToHost(best.View, MemoryMarshal.AsBytes(id.AsSpan()));
    }

    private static void TrainStep(LanguageModel model, int length, Stopclock clock)
    {
        AdapterConfig config = AdapterConfig.ForTraining("bench", 16, 16, 0, false, TextLinears);
        using LoraAdapter adapter = LoraAdapter.Create(model, config, 1);
        using var trainer = new LoraTrainer(model, adapter, new AdamW(adapter.Parameters, 0.9f, 0.999f, 1e-8f, 0), 1);
        int[] ids = [.. Enumerable.Range(0, length).Select(i => i * 7919 % model.Layout.VocabularySize)];
        var example = new EncodedExample(ids, [.. ids.Select(_ => true)], [], []);
        var times = new List<double>();
        for (int i = 0; i < (clock.Tiny ? 3 : Repeats + 2); i++)
        {
            clock.Continue();
            long start = Stopwatch.GetTimestamp();
            trainer.Step([[example]], 1e-4f); // returns a loss, so it has waited for the device
            if (i >= 2) times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }

        times.Sort();
        using var process = Process.GetCurrentProcess();
        clock.Report.ModelRow(
            $"LoRA step {length}", "ms", times[0], times[times.Count / 2], times[^1],
            $"{clock.Device.PeakAllocatedBytes / 1e6:F0} MB allocated, {process.PeakWorkingSet64 / 1e6:F0} MB resident", "");
    }
}
