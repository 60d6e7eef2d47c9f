using System.Diagnostics;
using System.Text.Json;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Proof;

/// <summary>The whole MedGemma-4B shape against transformers: one picture, one question, the logits of the next token.</summary>
internal static class WholeMedGemma
{
    private const string GoldenFile = "real/medgemma_4b.json";
    private const double LogitTolerance = 2e-3, FeatureTolerance = 1e-3;

    /// <param name="folder">Written by <c>gemmacore init --preset medgemma-4b</c> with the golden's seed; tokenizer files beside the weights.</param>
    public static int Compare(string folder)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path(GoldenFile)));
        JsonElement golden = document.RootElement;
        var image = new ImagePart(ImageSource.FromFile(Goldens.Path("images/" + golden.GetProperty("image").GetString())));
        Prompt prompt = PromptEncoder.Load(folder)
            .Encode([new ChatMessage(ChatRole.User, [image, new TextPart(golden.GetProperty("question").GetString()!)])], addGenerationPrompt: true);
        var clock = Stopwatch.StartNew();
        using var device = new CpuDevice(0);
        using var arena = new Arena(device);
        using LanguageModel model = ModelFolder.Load(folder, device);
        double loaded = Lap(clock);
        TensorView features = ImageEncoding.Encode(model, [prompt.Images[0].Values], arena);
        double encoded = Lap(clock);
        var batch = new TokenBatch { ImageFeatures = features };
        batch.Add(prompt.Ids, model.ImageTokenId, null);
        TensorView hidden = model.Forward(batch, arena, null), last = arena.Take(new Shape(1, model.Layout.VocabularySize));
        model.Logits(hidden.Slice(prompt.Ids.Length - 1, 1), last);
        double answered = Lap(clock);

        Circumstances.Print("tools/parity_4b.sh");
        Console.WriteLine("| compared | ours | golden | error | tolerance | |");
        Console.WriteLine("|---|---:|---:|---:|---:|---|");
        bool held = CheckLogits(golden, prompt, last.ToFloats()) & CheckFeatures(golden, features.ToFloats());
        using Process process = Process.GetCurrentProcess();
        Console.WriteLine($"\nLoading {loaded:0.0} s, image {encoded:0.0} s, {prompt.Ids.Length} tokens through the decoder {answered:0.0} s; "
            + $"peak memory {process.PeakWorkingSet64 / 1e9:0.0} GB, mapped weights included, {arena.PeakBytes / 1e9:0.00} GB of it activations.");
        return held ? 0 : 1;
    }

    private static bool CheckLogits(JsonElement golden, Prompt prompt, float[] logits)
    {
        double[] top = Numbers(golden, "top_logits");
        int[] ids = [.. Numbers(golden, "top_ids").Select(id => (int)id)];
        double error = ids.Zip(top, (id, value) => Math.Abs(logits[id] - value)).Max();
        double mean = logits.Average(value => (double)value), deviation = Math.Sqrt(logits.Average(value => Math.Pow(value - mean, 2)));
        return Equal("prompt tokens", prompt.Ids.Length, golden.GetProperty("tokens").GetInt32())
            & Equal("first token", Array.IndexOf(logits, logits.Max()), ids[0])
            & Row($"{ids.Length} largest logits (absolute)", "", "", error, LogitTolerance)
            & Near("logsumexp", Math.Log(logits.Sum(value => Math.Exp(value))), golden.GetProperty("logsumexp").GetDouble())
            & Near("mean of the logits", mean, golden.GetProperty("mean").GetDouble())
            & Near("standard deviation of the logits", deviation, golden.GetProperty("std").GetDouble());
    }

    private static bool CheckFeatures(JsonElement golden, float[] features)
    {
        JsonElement image = golden.GetProperty("image_features");
        double[] first = Numbers(image, "first_token_first_16"), last = Numbers(image, "last_token_last_16");
        double rms = image.GetProperty("rms").GetDouble(), ours = Math.Sqrt(features.Average(value => (double)value * value));
        double error = first.Select((value, i) => Math.Abs(features[i] - value)).Concat(last.Select((value, i) => Math.Abs(features[^(16 - i)] - value))).Max();
        return Row("image features, 32 samples (of their rms)", "", "", error / rms, FeatureTolerance)
            & Row("rms of the image features", $"{ours:0.000000}", $"{rms:0.000000}", Math.Abs(ours / rms - 1), FeatureTolerance);
    }

    private static bool Near(string what, double ours, double golden) => Row(what, $"{ours:0.000000}", $"{golden:0.000000}", Math.Abs(ours - golden), LogitTolerance);

    private static bool Equal(string what, int ours, int golden)
    {
        Console.WriteLine($"| {what} | {ours} | {golden} | {(ours == golden ? "equal" : "differs")} | exact | {(ours == golden ? "pass" : "**outside**")} |");
        return ours == golden;
    }

    private static bool Row(string what, string ours, string golden, double error, double tolerance)
    {
        bool held = error <= tolerance;
        Console.WriteLine($"| {what} | {ours} | {golden} | {error:0.0E+0} | {tolerance:0.0E+0} | {(held ? "pass" : "**outside**")} |");
        return held;
    }

    private static double[] Numbers(JsonElement item, string name) => [.. item.GetProperty(name).EnumerateArray().Select(value => value.GetDouble())];

    private static double Lap(Stopwatch clock)
    {
        double seconds = clock.Elapsed.TotalSeconds;
        clock.Restart();
        return seconds;
    }
}
