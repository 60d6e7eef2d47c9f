using System.Text.Json;
using GemmaCore.Generation.Constraints;
using GemmaCore.Inputs;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests.Constraints;

/// <summary>Constrained answers of the embedded model, alone and among others.</summary>
public sealed class ConstrainedAnswerTests : IDisposable
{
    private readonly GemmaModel _model = GemmaModel.Load(Goldens.DemoPath("model"), 2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _model.Dispose();

    [Fact]
    public void Answers_keep_to_their_constraints_and_others_of_the_batch_do_not_notice()
    {
        Constraint schema = _model.Constraints.JsonSchema(
            """{"type":"object","properties":{"finding":{"type":"string","maxLength":12},"count":{"type":"integer","minimum":0,"maximum":99},"sure":{"type":"boolean"}},"required":["finding","count","sure"]}""");
        Constraint choice = _model.Constraints.Choice(["left lung", "right lung", "both"]);
        (Prompt, SamplingParams)[] asked =
        [
            .. from seed in Enumerable.Range(0, 12)
               let prompt = Ask($"What is finding {seed}?")
               from constraint in (Constraint?[])[schema, null, choice]
               select (prompt, new SamplingParams { MaxTokens = 60, Temperature = seed % 3 == 0 ? 0 : 1.5f, TopK = seed % 2 == 0 && constraint is not null ? 0 : 20, Seed = (ulong)seed, Constraint = constraint }),
        ];
        IReadOnlyList<GenerationResult> answers = _model.Generate(asked, null, Token);
        for (int i = 0; i < asked.Length; i++)
        {
            GenerationResult alone = _model.Generate([asked[i]], null, Token)[0];
            Assert.Equal(alone.Tokens.Select(token => token.Id), answers[i].Tokens.Select(token => token.Id));
            if (i % 3 == 1) continue;
            Assert.Equal(FinishReason.Stop, answers[i].FinishReason);
            if (i % 3 == 2) Assert.Contains(answers[i].Text, (string[])["left lung", "right lung", "both"]);
            else Assert.InRange(JsonDocument.Parse(answers[i].Text).RootElement.GetProperty("count").GetInt32(), 0, 99);
        }
    }

    [Fact]
    public void The_most_likely_allowed_token_is_chosen_with_and_without_the_whole_row()
    {
        Constraint constraint = _model.Constraints.Regex("[a-z]{2,6}( [a-z]{2,6}){3}\\.");
        (Prompt, SamplingParams) Greedy(int logprobs) => (Ask("Describe the endoscopic finding."), new SamplingParams { MaxTokens = 40, Constraint = constraint, Logprobs = logprobs });
        GenerationResult few = _model.Generate([Greedy(-1)], null, Token)[0], whole = _model.Generate([Greedy(3)], null, Token)[0];
        Assert.Equal(whole.Tokens.Select(token => token.Id), few.Tokens.Select(token => token.Id));
        Assert.True(constraint.Allows(few.Text), few.Text);
        // Of the allowed tokens alone: the chosen one is first, and the probabilities are theirs.
        Assert.All(whole.Tokens, token => Assert.Equal((token.Id, token.Logprob), (token.Top[0].Id, token.Top[0].Logprob)));
        Assert.All(whole.Tokens.SelectMany(token => token.Top), top => Assert.InRange(Math.Exp(top.Logprob), 0, 1.0001));
    }

    [Fact]
    public void Log_probabilities_are_those_of_what_is_allowed()
    {
        SamplingParams parameters = new() { MaxTokens = 1, Logprobs = 5, Constraint = _model.Constraints.Choice(["a", "b"]) };
        IReadOnlyList<TokenLogprob> top = _model.Generate([(Ask("x"), parameters)], null, Token)[0].Tokens[0].Top;
        Assert.Equal(["<0x61>", "<0x62>", "a", "b"], top.Select(token => _model.Prompts.Tokenizer.TokenOf(token.Id)).Order(StringComparer.Ordinal));
        Assert.Equal(1, top.Sum(token => Math.Exp(token.Logprob)), 1e-4);
    }

    [Fact]
    public void An_answer_that_is_whole_ends_even_where_the_end_of_turn_is_ignored()
    {
        GenerationResult result = _model.Generate([(Ask("x"), new SamplingParams { MaxTokens = 50, IgnoreEos = true, Constraint = _model.Constraints.Choice(["fracture"]) })], null, Token)[0];
        Assert.Equal(("fracture", FinishReason.Stop), (result.Text, result.FinishReason));
    }

    [Fact]
    public async Task A_constraint_that_grows_too_complex_ends_its_own_answer_only()
    {
        // Which of the last thirty characters were an a: 2^30 states, of which a few thousand are enough to give up.
        Constraint bomb = _model.Constraints.Regex("[ab]*a[ab]{900}x");
        using var loop = new RequestLoop(_model, new BatchLimits(), 1 << 20);
        PendingAnswer bad = loop.Submit(new GenerationRequest(Ask("x"), new SamplingParams { MaxTokens = 7000, Temperature = 5, Constraint = bomb }), Token);
        PendingAnswer good = loop.Submit(new GenerationRequest(Ask("x"), new SamplingParams { MaxTokens = 5 }), Token);
        Assert.InRange((await good.Result.WaitAsync(Token)).Tokens.Count, 1, 5);
        InputException error = await Assert.ThrowsAsync<InputException>(() => bad.Result.WaitAsync(Token));
        Assert.Contains("too complex", error.Message, StringComparison.Ordinal);
        Assert.Null(loop.Fault);
    }

    [Fact]
    public void A_constraint_of_another_vocabulary_is_refused()
    {
        Constraint other = new ConstraintCompiler(SmallTokenizer).Regex("a");
        Assert.Throws<InputException>(() => _model.Generate([(Ask("x"), new SamplingParams { Constraint = other })], null, Token));
    }

    private static Tokenizer SmallTokenizer => Tokenizer.FromJson(
        System.Text.Encoding.UTF8.GetBytes("""
        {"added_tokens":[{"id":0,"content":"<s>","special":true}],"normalizer":{"type":"Replace","pattern":{"String":" "},"content":"\u2581"},
         "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"\u2581"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}]},
         "model":{"type":"BPE","unk_token":"<s>","fuse_unk":true,"byte_fallback":true,"vocab":{"<s>":0,"a":1,"b":2},"merges":[]}}
        """), "tokenizer.json");

    private Prompt Ask(string text) => _model.Prompts.Encode([ChatMessage.FromText(ChatRole.User, text)], addGenerationPrompt: true);
}
