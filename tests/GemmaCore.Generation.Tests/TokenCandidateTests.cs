using GemmaCore.Inputs;
using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

/// <summary>What is chosen from the most likely tokens alone must be what the whole row gives, draw for draw.</summary>
public sealed class TokenCandidateTests
{
    private const int Vocabulary = 3001;

    public static TheoryData<SamplingParams> Ways =>
    [
        new SamplingParams(),
        new SamplingParams { Temperature = 1, TopK = 1, Seed = 1 },
        new SamplingParams { Temperature = 0.7f, TopK = 40, Seed = 2 },
        new SamplingParams { Temperature = 1.3f, TopK = 40, TopP = 0.9f, Seed = 3 },
        new SamplingParams { Temperature = 1, TopK = 256, TopP = 0.8f, MinP = 0.05f, Seed = 4 },
        new SamplingParams { Temperature = 30, TopK = 511, TopP = 0.5f, Seed = 5 },
    ];

    [Theory]
    [MemberData(nameof(Ways))]
    public void Candidates_give_the_token_that_the_row_gives(SamplingParams parameters)
    {
        using var fixture = new OpFixture();
        Sampler whole = new(parameters), fromCandidates = new(parameters);
        int k = fromCandidates.CandidateCount(Vocabulary), answered = 0;
        Assert.Equal(parameters.Temperature == 0 ? 1 : parameters.TopK + 1, k);
        var candidates = new TokenCandidates();
        for (int step = 0; step < 40; step++)
        {
            // Every other row has few distinct values, so that ties reach across every limit.
            float[] logits = new Sample((ulong)step + 1).Floats(Vocabulary, -8, 8);
            if (step % 2 == 1) logits = Array.ConvertAll(logits, value => MathF.Round(value * 8) / 8);
            candidates.Read(fixture.Of(new Shape(1, Vocabulary), logits), k, false, fixture.Arena);

            bool enough = fromCandidates.TryChoose(candidates.Ids(0), candidates.Logits(0), out int index);
            int chosen = enough ? candidates.Ids(0)[index] : fromCandidates.Choose((float[])logits.Clone(), []);
            answered += enough ? 1 : 0;
            Assert.Equal(whole.Choose(logits, []), chosen);
        }

        // Both ways were taken, except that greedy needs no second one.
        Assert.InRange(answered, 20, k == 1 ? 40 : 39);
    }

    [Fact]
    public void A_temperature_that_rounds_two_logits_to_one_counts_as_a_tie()
    {
        const float temperature = 3;
        // Halves of threes: quotients lie on a coarser grid than their dividends, so two neighbours with one quotient are never far.
        float low = 1.5f;
        while (low / temperature < MathF.BitIncrement(low) / temperature) low = MathF.BitIncrement(low);
        float high = MathF.BitIncrement(low);
        var sampler = new Sampler(new SamplingParams { Temperature = temperature, TopK = 1 });
        Assert.False(sampler.TryChoose([5, 9], [high, low], out _));
        Assert.True(sampler.TryChoose([5, 9], [2 * high, low], out int index));
        Assert.Equal(0, index);
    }

    public static TheoryData<SamplingParams> WaysThatNeedTheRow =>
    [
        new SamplingParams { RepetitionPenalty = 1.1f },
        new SamplingParams { Temperature = 1, TopP = 0.9f },
        new SamplingParams { Temperature = 1, MinP = 0.1f },
        new SamplingParams { Temperature = 1, TopK = TopK.MaxCount },
        new SamplingParams { Temperature = 1, TopK = Vocabulary },
    ];

    [Theory]
    [MemberData(nameof(WaysThatNeedTheRow))]
    public void What_depends_on_every_token_asks_for_the_row(SamplingParams parameters) => Assert.Equal(0, new Sampler(parameters).CandidateCount(Vocabulary));

    [Fact]
    public void A_model_answers_the_same_with_and_without_the_whole_row()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        Prompt prompt = model.Prompts.Encode([new ChatMessage(ChatRole.User, [new TextPart("What is a fracture?")])], true);
        SamplingParams[] ways =
        [
            new() { MaxTokens = 24 },
            new() { MaxTokens = 24, Logprobs = 0 },
            new() { MaxTokens = 24, Temperature = 1.5f, TopK = 30, TopP = 0.95f, Seed = 11 },
            new() { MaxTokens = 24, Temperature = 1.5f, TopK = 7, Seed = 12, Logprobs = 0 },
            new() { MaxTokens = 24, RepetitionPenalty = 1.2f },
        ];

        IReadOnlyList<GenerationResult> mixed = model.Generate([.. ways.Select(way => (prompt, way))], null, TestContext.Current.CancellationToken);
        IReadOnlyList<GenerationResult> rows = model.Generate([.. ways.Select(way => (prompt, way with { Logprobs = 1 }))], null, TestContext.Current.CancellationToken);

        for (int i = 0; i < ways.Length; i++)
        {
            Assert.Equal(rows[i].Tokens.Select(token => token.Id), mixed[i].Tokens.Select(token => token.Id));
            Assert.Equal(rows[i].Text, mixed[i].Text);
            Assert.Equal(ways[i].Logprobs < 0, mixed[i].Tokens.All(token => float.IsNaN(token.Logprob)));
            if (ways[i].Logprobs >= 0) Assert.Equal(rows[i].Tokens.Select(token => token.Logprob), mixed[i].Tokens.Select(token => token.Logprob));
        }
    }
}
