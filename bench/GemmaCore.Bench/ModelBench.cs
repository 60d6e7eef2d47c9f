using System.Diagnostics;
using GemmaCore.Checkpoints;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Training;

namespace GemmaCore.Bench;

/// <summary>
/// A whole model with random weights: prefill of 512 tokens, decode at depth 512, LoRA steps (r 16 on the seven linears, AdamW) at 128 and 512 tokens.
/// </summary>
public static class ModelBench
{
    private const int Repeats = 5;

    private static readonly string[] TextLinears = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    public static void Run(string presetName, Stopclock clock, MachinePeaks peaks)
    {
        string folder = Path.Combine(Path.GetTempPath(), "gemmacore-bench-" + presetName);
        if (!File.Exists(Path.Combine(folder, "config.json"))) RandomCheckpoint.Write(ModelPreset.Find(presetName)!, folder, 1, DType.BF16);
        using LanguageModel model = ModelFolder.Load(folder, clock.Device);
        Console.WriteLine($"\n| {presetName}, bf16 weights | min | median | max | of the limit | allocated per token |\n|---|---:|---:|---:|---:|---:|");
        Inference(model, peaks);
        TrainStep(model, 128, clock.Device);
        TrainStep(model, 512, clock.Device);
    }

    private static void Inference(LanguageModel model, MachinePeaks peaks)
    {
        using var arena = new Arena(model.Device);
        var batch = new TokenBatch();
        int[] prompt = [.. Enumerable.Range(0, 512).Select(i => i * 7919 % model.Layout.VocabularySize)];
        // What a token must read: every linear's weight and the head. What it must compute: two operations a weight.
        double weights = model.Linears.Sum(linear => linear.Weight.Shape.ElementCount), head = model.Head.Shape.ElementCount;
        var prefill = new List<double>();
        var decode = new List<double>();
        long allocated = 0;
        int tokens = 0;
        for (int repeat = 0; repeat < Repeats + 1; repeat++)
        {
            using KvCache cache = model.CreateCache(512 + 64);
            long start = Stopwatch.GetTimestamp();
            Pass(model, batch, arena, prompt, cache);
            if (repeat > 0) prefill.Add(512 / Stopwatch.GetElapsedTime(start).TotalSeconds);
            for (int i = 0; i < 32; i++)
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                start = Stopwatch.GetTimestamp();
                Pass(model, batch, arena, [(i + 1) * 31], cache);
                double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
                if (repeat == 0) continue; // compiled, caches grown
                allocated += GC.GetAllocatedBytesForCurrentThread() - before;
                decode.Add(1 / seconds);
                tokens++;
            }
        }

        prefill.Sort();
        decode.Sort();
        double flops = (2 * weights * 512 + 2 * head) / 512, bytes = 2 * (weights + head);
        Console.WriteLine(
            $"| prefill 512, tokens/s | {prefill[0]:F1} | {prefill[prefill.Count / 2]:F1} | {prefill[^1]:F1} | " +
            $"{prefill[prefill.Count / 2] * flops / 1e9 / peaks.GigaflopsPerSecond:P0} of FMA peak | |");
        Console.WriteLine(
            $"| decode at 512, tokens/s | {decode[0]:F1} | {decode[decode.Count / 2]:F1} | {decode[^1]:F1} | " +
            $"{decode[decode.Count / 2] * bytes / 1e9 / peaks.ReadGigabytesPerSecond:P0} of read peak | {allocated / Math.Max(1, tokens)} bytes |");
    }

    private static void Pass(LanguageModel model, TokenBatch batch, Arena arena, ReadOnlySpan<int> ids, KvCache cache)
    {
        arena.Reset();
        batch.Clear();
        batch.Add(ids, -1, cache);
        TensorView hidden = model.Forward(batch, arena, null);
        TensorView logits = arena.Take(new Shape(1, model.Layout.VocabularySize));
        model.Logits(hidden.Slice(ids.Length - 1, 1), logits);
    }

    private static void TrainStep(LanguageModel model, int length, CpuDevice device)
    {
        AdapterConfig config = AdapterConfig.ForTraining("bench", 16, 16, 0, false, TextLinears);
        using LoraAdapter adapter = LoraAdapter.Create(model, config, 1);
        using var trainer = new LoraTrainer(model, adapter, new AdamW(adapter.Parameters, 0.9f, 0.999f, 1e-8f, 0), 1);
        int[] ids = [.. Enumerable.Range(0, length).Select(i => i * 7919 % model.Layout.VocabularySize)];
        var example = new EncodedExample(ids, [.. ids.Select(_ => true)], [], []);
        var times = new List<double>();
        for (int i = 0; i < Repeats + 2; i++)
        {
            long start = Stopwatch.GetTimestamp();
            trainer.Step([[example]], 1e-4f);
            if (i >= 2) times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }

        times.Sort();
        using var process = Process.GetCurrentProcess();
        Console.WriteLine(
            $"| LoRA step {length}, ms | {times[0]:F0} | {times[times.Count / 2]:F0} | {times[^1]:F0} | " +
            $"{device.PeakAllocatedBytes / 1e6:F0} MB allocated, {process.PeakWorkingSet64 / 1e6:F0} MB resident | |");
    }
}
