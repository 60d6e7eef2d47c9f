using System.Text.Json;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>A whole published shape, gemma-3-270m, on weights of the init formula: logits and a greedy answer of transformers.</summary>
public sealed class RealDimensionsGoldenTests : IDisposable
{
    private const string Topic = "real dimensions";
    private const string GoldenFile = "real/gemma_3_270m.json";
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "gemmacore-270m-" + Guid.NewGuid().ToString("N"));

    [Fact]
    public void Gemma_3_270m_gives_the_logits_and_the_greedy_tokens_of_transformers()
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path(GoldenFile)));
        RandomCheckpoint.Write(ModelPreset.Find("gemma-3-270m")!, _folder, golden.RootElement.GetProperty("seed").GetUInt64(), DType.BF16);
        int[] prompt = Ids(golden, "input_ids"), expected = Ids(golden, "greedy");
        using var embedded = new EmbeddedModel(_folder);
        using KvCache cache = embedded.Model.CreateCache(prompt.Length + expected.Length);
        float[] logits = Next(embedded, cache, prompt);

        int[] topIds = Ids(golden, "top_ids");
        double[] topLogits = [.. golden.RootElement.GetProperty("top_logits").EnumerateArray().Select(value => value.GetDouble())];
        double error = topIds.Zip(topLogits, (id, value) => Math.Abs(logits[id] - value)).Max();
        double logSumExp = Math.Log(logits.Sum(value => Math.Exp(value))), mean = logits.Average(value => (double)value);
        error = Math.Max(error, Math.Abs(logSumExp - golden.RootElement.GetProperty("logsumexp").GetDouble()));
        error = Math.Max(error, Math.Abs(mean - golden.RootElement.GetProperty("mean").GetDouble()));
        Assert.InRange(Parity.Report(Topic, GoldenFile, "32 largest logits, logsumexp, mean (absolute)", error, 1e-3), 0, 1e-3);

        var tokens = new List<int>();
        while (tokens.Count < expected.Length)
        {
            tokens.Add(Array.IndexOf(logits, logits.Max()));
            if (tokens.Count < expected.Length) logits = Next(embedded, cache, [tokens[^1]]);
        }

        Parity.ReportExact(Topic, GoldenFile, "greedy tokens", tokens.Zip(expected).Count(pair => pair.First == pair.Second), expected.Length);
        Assert.Equal(expected, tokens);
    }

    public void Dispose()
    {
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }

    private static float[] Next(EmbeddedModel embedded, KvCache cache, int[] ids)
    {
        embedded.Arena.Reset();
        var batch = new TokenBatch();
        batch.Add(ids, -1, cache);
        TensorView hidden = embedded.Model.Forward(batch, embedded.Arena, null);
        return embedded.Logits(hidden.Slice(ids.Length - 1, 1));
    }

    private static int[] Ids(JsonDocument golden, string name) => [.. golden.RootElement.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
}
