using System.Text.Json;
using GemmaCore.Inputs;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

public sealed class GreedyGoldenTests
{
    private static readonly JsonDocument Golden = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("model/greedy.json")));

    private static readonly SamplingParams Greedy = new() { MaxTokens = 48, Logprobs = 0 };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void Greedy_answers_equal_those_of_transformers_alone_and_in_one_batch()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        JsonElement[] cases = [.. Golden.RootElement.EnumerateArray()];
        Prompt[] prompts = [.. cases.Select(item => PromptOf(model, item))];
        SamplingParams[] limits = [.. cases.Select(item => Greedy with { MaxTokens = Math.Max(48, item.GetProperty("tokens").GetArrayLength()) })];
        IReadOnlyList<GenerationResult> batch = model.Generate([.. prompts.Zip(limits)], null, Token);
        double worst = 0;
        int equal = 0;
        for (int i = 0; i < cases.Length; i++)
        {
            int[] expected = [.. cases[i].GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32())];
            bool same = batch[i].Tokens.Select(token => token.Id).SequenceEqual(expected);
            equal += same ? 1 : 0;
            if (!same) continue; // log-probabilities of other tokens say nothing
            Assert.Equal(cases[i].GetProperty("text").GetString()!.Trim(), batch[i].Text.Trim());
            // The continuations of raw text were recorded without log-probabilities.
            double[] logprobs = cases[i].TryGetProperty("logprobs", out JsonElement recorded) ? [.. recorded.EnumerateArray().Select(value => value.GetDouble())] : [];
            for (int t = 0; t < logprobs.Length; t++) worst = Math.Max(worst, Math.Abs(logprobs[t] - batch[i].Tokens[t].Logprob));
            if (i % 5 == 0) Assert.Equal(batch[i].Tokens.Select(token => token.Id), model.Generate([(prompts[i], limits[i])], null, Token)[0].Tokens.Select(token => token.Id));
        }

        Assert.Equal(0, Parity.ReportExact("greedy", "model/greedy.json", "answers, token for token", equal, cases.Length));
        Assert.InRange(Parity.Report("greedy", "model/greedy.json", "log-probabilities (absolute)", worst, 1e-3), 0, 1e-3);
    }

    [Fact]
    public async Task A_stream_gives_the_text_of_the_whole_answer()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        ChatMessage question = Ask("Describe the endoscopic finding.", "validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg");
        string streamed = "";
        await foreach (GeneratedToken token in model.GenerateAsync([question], Greedy, Token)) streamed += token.Text;
        GenerationResult whole = model.Generate([(model.Prompts.Encode([question], true), Greedy)], null, Token)[0];
        Assert.Equal(whole.Text, streamed);
        Assert.Equal(FinishReason.Stop, whole.FinishReason);
        Assert.Equal(16, whole.ImageTokenCount);
    }

    [Fact]
    public void Stop_strings_token_limits_and_cancellation_end_an_answer()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        Prompt prompt = model.Prompts.Encode([Ask("Describe the endoscopic finding.", "validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg")], true);
        string full = model.Generate([(prompt, Greedy)], null, Token)[0].Text;
        string stop = full[(full.Length / 2)..(full.Length / 2 + 3)];

        GenerationResult stopped = model.Generate([(prompt, Greedy with { Stop = [stop] })], null, Token)[0];
        Assert.Equal(full[..full.IndexOf(stop, StringComparison.Ordinal)], stopped.Text);
        Assert.Equal(FinishReason.Stop, stopped.FinishReason);

        GenerationResult limited = model.Generate([(prompt, Greedy with { MaxTokens = 3 })], null, Token)[0];
        Assert.Equal((3, FinishReason.Length), (limited.Tokens.Count, limited.FinishReason));

        using var cancel = new CancellationTokenSource();
        GenerationResult cancelled = model.Generate([(prompt, Greedy)], (_, _) => cancel.Cancel(), cancel.Token)[0];
        Assert.Equal((1, FinishReason.Cancelled), (cancelled.Tokens.Count, cancelled.FinishReason));
    }

    [Fact]
    public void A_prompt_longer_than_the_model_is_refused_with_both_numbers()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 1);
        Prompt prompt = model.Prompts.EncodeText(string.Concat(Enumerable.Repeat("many words ", 9000)), []);
        var error = Assert.Throws<InputException>(() => model.Generate([(prompt, Greedy)], null, Token));
        Assert.Contains("8192 positions", error.Message, StringComparison.Ordinal);
    }

    private static ChatMessage Ask(string question, string image) =>
        new(ChatRole.User, [new ImagePart(ImageSource.FromFile(Goldens.DemoPath("data/" + image))), new TextPart(question)]);

    internal static Prompt PromptOf(GemmaModel model, JsonElement item)
    {
        Prompt prompt = item.TryGetProperty("prompt", out JsonElement raw)
            ? model.Prompts.EncodeText(raw.GetString()!, [])
            : model.Prompts.Encode([Ask(item.GetProperty("question").GetString()!, item.GetProperty("image").GetString()!)], true);
        Assert.Equal(item.GetProperty("prompt_ids").EnumerateArray().Select(id => id.GetInt32()), prompt.Ids);
        return prompt;
    }
}
