using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

/// <summary>Requests of every kind, and what comes of them bit for bit.</summary>
internal static class MixedRequests
{
    private const string Colon = "validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg";
    private const string Retina = "validation-public/Retinography/phantom_retina/imagesVal/phantom_retina_0000.jpg";

    /// <summary>Text, pictures, adapters, greedy and drawn.</summary>
    public static List<GenerationRequest> Of(GemmaModel model, LoraAdapter all, LoraAdapter few, int longPrompt, int maxTokens)
    {
        var greedy = new SamplingParams { MaxTokens = maxTokens, IgnoreEos = true, Logprobs = 0 };
        SamplingParams drawn = greedy with { Temperature = 1, TopK = 20, Seed = 5 }, penalised = greedy with { FrequencyPenalty = 1.5f, PresencePenalty = 0.5f };
        Prompt colon = Ask(model, "Describe the endoscopic finding.", Colon), retina = Ask(model, "What is shown?", Retina), two = Ask(model, "Compare them.", Colon, Retina);
        Prompt text = model.Prompts.EncodeText("A question of one line: what is a lesion?", []), tiny = model.Prompts.EncodeText("The", []);
        // Longer than a chunk, so that it comes in parts while the others decode.
        Prompt chunks = model.Prompts.EncodeText(string.Concat(Enumerable.Repeat("a lesion is seen, ", longPrompt / 8)), []);
        return
        [
            new(text, greedy), new(colon, greedy) { Adapter = all }, new(tiny, greedy), new(colon, greedy), new(chunks, greedy) { Adapter = few },
            new(retina, drawn) { Adapter = few }, new(text, greedy) { Adapter = all }, new(two, greedy) { Adapter = all }, new(chunks, greedy), new(tiny, drawn) { Adapter = all },
            new(text, penalised), new(two, drawn),
        ];
    }

    public static Prompt Ask(GemmaModel model, string question, params string[] images) => model.Prompts.Encode(
        [new ChatMessage(ChatRole.User, [.. images.Select(image => new ImagePart(ImageSource.FromFile(Goldens.DemoPath("data/" + image)))), new TextPart(question)])], true);

    public static BatchScheduler Scheduler(GemmaModel model, BatchLimits limits, Action<Sequence> onEnd) =>
        new(model.Model, model.Prompts.Tokenizer, [.. model.Defaults.StopIds], limits, onEnd);

    /// <summary>Answers all.</summary>
    /// <param name="scheduler">By whom.</param>
    /// <param name="requests">In the order in which they come.</param>
    /// <param name="joinEvery">Steps after which the next one comes; 0 when they come all at once.</param>
    /// <param name="look">Called after each step.</param>
    public static List<Sequence> Run(BatchScheduler scheduler, List<GenerationRequest> requests, int joinEvery, Action? look = null)
    {
        var sequences = new List<Sequence>();
        for (int step = 0; sequences.Count < requests.Count || scheduler.RunningCount + scheduler.WaitingCount > 0; step++)
        {
            while (sequences.Count < requests.Count && (joinEvery == 0 || step >= sequences.Count * joinEvery))
                sequences.Add(scheduler.Add(requests[sequences.Count], null, CancellationToken.None));
            scheduler.Step();
            Assert.True(step < 100_000, "nobody gets done");
            look?.Invoke();
        }

        return sequences;
    }

    /// <summary>Ids and the bits of their log-probabilities, or of the embedding; or why there are none.</summary>
    public static string Bits(Sequence sequence)
    {
        if (sequence.Failure is { } failure) return failure.Message;
        GenerationResult result = sequence.Result();
        return string.Join(' ', result.Tokens.Select(token => $"{token.Id}:{Bits(token.Logprob)}{string.Concat(token.Top.Select(top => "," + Bits(top.Logprob)))}")) +
            string.Join(' ', (result.Embedding ?? []).Select(Bits));
    }

    private static string Bits(float value) => BitConverter.SingleToInt32Bits(value).ToString("x", System.Globalization.CultureInfo.InvariantCulture);
}
