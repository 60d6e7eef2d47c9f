using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

public sealed class SamplingFilterTests
{
    private static readonly Dictionary<string, GoldenTensor> Golden = GoldenTensors.Load(Goldens.Path("model/sampling_filters.safetensors"));

    private delegate void Filter(Span<float> logits, ReadOnlySpan<int> history);

    public static TheoryData<string> Names => ["repetition_1_3", "temperature_0_7", "top_k_5", "top_p_0_9", "min_p_0_1", "chain"];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_filter_keeps_what_transformers_keeps(string name)
    {
        Filter filter = name switch
        {
            "repetition_1_3" => (logits, history) => SamplingFilters.RepetitionPenalty(logits, history, 1.3f),
            "temperature_0_7" => (logits, _) => SamplingFilters.Temperature(logits, 0.7f),
            "top_k_5" => (logits, _) => SamplingFilters.TopK(logits, 5),
            "top_p_0_9" => (logits, _) => SamplingFilters.TopP(logits, 0.9f),
            "min_p_0_1" => (logits, _) => SamplingFilters.MinP(logits, 0.1f),
            _ => Chain,
        };
        int sameSets = 0;
        double worst = 0;
        for (int row = 0; row < 6; row++)
        {
            float[] logits = Golden["logits"].Floats.AsSpan(row * 257, 257).ToArray(), expected = Golden[name].Floats.AsSpan(row * 257, 257).ToArray();
            int[] history = Array.ConvertAll(Golden["history"].Integers[(row * 12)..(row * 12 + 12)], id => (int)id);
            filter(logits, history);
            bool same = expected.Select(float.IsNegativeInfinity).SequenceEqual(logits.Select(float.IsNegativeInfinity));
            sameSets += same ? 1 : 0;
            for (int i = 0; same && i < 257; i++)
                if (!float.IsNegativeInfinity(expected[i])) worst = Math.Max(worst, Math.Abs(expected[i] - logits[i]) / Math.Max(1, Math.Abs(expected[i])));
        }

        Assert.Equal(0, Parity.ReportExact("greedy", "model/sampling_filters.safetensors", "kept sets", sameSets, 6));
        Assert.InRange(Parity.Report("greedy", "model/sampling_filters.safetensors", "kept logits", worst, 1e-6), 0, 1e-6);
    }

    private static void Chain(Span<float> logits, ReadOnlySpan<int> history)
    {
        SamplingFilters.RepetitionPenalty(logits, history, 1.3f);
        SamplingFilters.Temperature(logits, 0.7f);
        SamplingFilters.TopK(logits, 40);
        SamplingFilters.TopP(logits, 0.9f);
        SamplingFilters.MinP(logits, 0.02f);
    }

    [Fact]
    public void The_same_seed_draws_the_same_tokens_and_another_seed_others()
    {
        static int[] Draw(ulong seed)
        {
            var sampler = new Sampler(new SamplingParams { Temperature = 1, Seed = seed });
            return [.. Enumerable.Range(0, 40).Select(i => sampler.Choose(Golden["logits"].Floats.AsSpan(i % 6 * 257, 257).ToArray(), []))];
        }

        Assert.Equal(Draw(7), Draw(7));
        Assert.NotEqual(Draw(7), Draw(8));
    }

    [Fact]
    public void Draws_follow_the_distribution()
    {
        var sampler = new Sampler(new SamplingParams { Temperature = 1, Seed = 3 });
        float[] logits = [MathF.Log(0.5f), MathF.Log(0.3f), MathF.Log(0.2f)];
        int[] counts = new int[3];
        for (int i = 0; i < 20000; i++) counts[sampler.Choose((float[])logits.Clone(), [])]++;
        // Five standard deviations of a binomial count.
        Assert.InRange(counts[0], 10000 - 354, 10000 + 354);
        Assert.InRange(counts[1], 6000 - 324, 6000 + 324);
    }
}
