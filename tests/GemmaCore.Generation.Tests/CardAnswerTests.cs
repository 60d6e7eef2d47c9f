using GemmaCore.Cuda;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

/// <summary>
/// What happens to answers while they are made, on simulated cards. The fp32 card gives the CPU's tokens; on the others a run is compared with a run of the
/// same card, bit for bit, as everything there is deterministic.
/// </summary>
public sealed class CardAnswerTests
{
    private const string FirstAdapter = "all_linear_r8", SecondAdapter = "qv_list_r4";

    public static TheoryData<string> Cards => [.. TestDevices.Cards(seed: 1)];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // Prompts of 5 and 40 tokens in one batch: the window is 32, so the ring of one has turned over in the prefill, and the other's turns in the answer.
    [Theory]
    [MemberData(nameof(Cards))]
    public void A_batch_of_short_and_long_prompts_is_answered_past_the_window(string card)
    {
        using var models = new Pair(card);
        int[] ids = Array.ConvertAll(GoldenTensors.Load(Goldens.Path("model/text_long.safetensors"))["input_ids"].Integers, id => (int)id);
        (Prompt, SamplingParams)[] prompts =
            [.. new[] { 5, 40 }.Select(length => (new Prompt(ids[..length], [], []), new SamplingParams { MaxTokens = 30, IgnoreEos = true, Logprobs = 0 }))];

        IReadOnlyList<GenerationResult> answers = models.Card.Generate(prompts, null, Token);

        double floor = 2 * PrecisionFloor.Of(models.Device, "text_long").Largest;
        foreach ((GenerationResult answer, (Prompt prompt, _)) in answers.Zip(prompts))
        {
            Assert.Equal((30, FinishReason.Length), (answer.Tokens.Count, answer.FinishReason));
            Assert.InRange(CardGreedyGoldenTests.Shortfall(models.Cpu, prompt, Ids(answer)), 0, floor);
        }

        if (models.Device.Precision == CudaPrecision.Float32)
            Assert.Equal(models.Cpu.Generate(prompts, null, Token).SelectMany(Ids), answers.SelectMany(Ids));
    }

    [Fact]
    public void Sampling_draws_the_tokens_of_the_cpu_on_the_card_of_fp32()
    {
        using var models = new Pair("gtx1650/adversarial");
        Prompt prompt = models.Cpu.Prompts.EncodeText("The lesion is", []);
        var sampling = new SamplingParams { MaxTokens = 12, Temperature = 1.3f, IgnoreEos = true };
        // Few candidates from the card; all logits from the card, with every filter; no filter at all.
        SamplingParams[] ways =
        [
            sampling with { TopK = 20, Seed = 11 },
            sampling with { TopK = 40, TopP = 0.9f, MinP = 0.02f, RepetitionPenalty = 1.3f, Seed = 12 },
            sampling with { Seed = 13 },
            sampling with { TopK = 20, Seed = 14 },
        ];
        (Prompt, SamplingParams)[] prompts = [.. ways.Select(way => (prompt, way))];

        int[][] expected = [.. models.Cpu.Generate(prompts, null, Token).Select(Ids)];

        Assert.Equal(expected, models.Card.Generate(prompts, null, Token).Select(Ids));
        // Two seeds of one way: the draws decide, not the most likely token.
        Assert.NotEqual(expected[0], expected[3]);
    }

    // Steps of decoding are recorded and replayed on a card; a step recorded with other weights must not come back.
    [Theory]
    [MemberData(nameof(Cards))]
    public void An_adapter_switched_between_answers_takes_effect_and_leaves_nothing_behind(string card)
    {
        using var models = new Pair(card);
        (Prompt, SamplingParams)[] prompts =
            [(models.Cpu.Prompts.EncodeText("Compare the two images", []), new SamplingParams { MaxTokens = 12, IgnoreEos = true, Logprobs = 0 })];
        List<float[]> Tell(GemmaModel model)
        {
            var told = new List<float[]>();
            foreach (string? name in (string?[])[null, FirstAdapter, null, SecondAdapter, FirstAdapter])
            {
                LoraAdapter? adapter = name is null ? null : model.LoadAdapter(Goldens.Path("adapters/" + name));
                told.Add([.. model.Generate(prompts, null, Token)[0].Tokens.SelectMany(token => (float[])[token.Id, token.Logprob])]);
                if (adapter is not null) model.RemoveAdapter(adapter);
            }

            return told;
        }

        List<float[]> ours = Tell(models.Card);

        Assert.Equal(ours[0], ours[2]);
        Assert.Equal(ours[1], ours[4]);
        Assert.NotEqual(ours[0], ours[1]);
        Assert.NotEqual(ours[1], ours[3]);
        Assert.NotEqual(ours[0], ours[3]);
        if (models.Device.Precision != CudaPrecision.Float32) return;
        foreach ((float[] card32, float[] cpu) in ours.Zip(Tell(models.Cpu)))
            Assert.Equal(cpu.Where((_, i) => i % 2 == 0), card32.Where((_, i) => i % 2 == 0));
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void An_answer_that_was_cancelled_half_way_does_not_touch_the_next(string card)
    {
        using var models = new Pair(card);
        var parameters = new SamplingParams { MaxTokens = 8, IgnoreEos = true, Logprobs = 0 };
        (Prompt, SamplingParams)[] prompts = [.. new[] { "The lesion is", "A: benign lesion B:" }.Select(text => (models.Cpu.Prompts.EncodeText(text, []), parameters))];
        GeneratedToken[][] whole = [.. models.Card.Generate(prompts, null, Token).Select(answer => answer.Tokens.ToArray())];

        using var cancel = new CancellationTokenSource();
        int seen = 0;
        IReadOnlyList<GenerationResult> cut = models.Card.Generate(prompts, (_, _) => { if (++seen == 7) cancel.Cancel(); }, cancel.Token);

        // The seventh token is the first prompt's fourth; the pass it belongs to is finished for both.
        foreach ((GenerationResult answer, GeneratedToken[] tokens) in cut.Zip(whole))
        {
            Assert.Equal((4, FinishReason.Cancelled), (answer.Tokens.Count, answer.FinishReason));
            Assert.Equal(Numbers(tokens[..4]), Numbers(answer.Tokens));
        }

        Assert.Equal(whole.SelectMany(Numbers), models.Card.Generate(prompts, null, Token).SelectMany(answer => Numbers(answer.Tokens)));
    }

    private static int[] Ids(GenerationResult answer) => [.. answer.Tokens.Select(token => token.Id)];

    private static IEnumerable<(int, float)> Numbers(IEnumerable<GeneratedToken> tokens) => tokens.Select(token => (token.Id, token.Logprob));

    /// <summary>The embedded model on a card, and on the CPU to compare with.</summary>
    private sealed class Pair : IDisposable
    {
        public Pair(string card)
        {
            Device = TestDevices.OpenCard(card);
            Card = GemmaModel.Load(Goldens.DemoPath("model"), Device);
            Cpu = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        }

        public CudaDevice Device { get; }

        public GemmaModel Card { get; }

        public GemmaModel Cpu { get; }

        public void Dispose()
        {
            Card.Dispose();
            Cpu.Dispose();
        }
    }
}
