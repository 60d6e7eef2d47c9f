using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Inputs;

namespace GemmaCore.Cli;

/// <summary>Greedy answers of the embedded model in transformers (fp32, eager attention), token for token with their log-probabilities: <c>tests/goldens/model/greedy.json</c>.</summary>
internal static class GoldenAnswers
{
    /// <summary>How near a model comes to them.</summary>
    /// <param name="Answers">Answers there are.</param>
    /// <param name="Equal">Answers that are equal token for token.</param>
    /// <param name="Tokens">Tokens of the equal ones.</param>
    /// <param name="LargestDifference">The largest difference of ln p over these tokens.</param>
    public sealed record Result(int Answers, int Equal, int Tokens, double LargestDifference);

    private static string File => Path.Combine(ModelLocation.Demo, "goldens", "greedy.json");

    /// <summary>Has the model answer the same questions.</summary>
    public static Result Compare(GemmaModel model)
    {
        using JsonDocument document = JsonDocument.Parse(System.IO.File.ReadAllBytes(File));
        // Continuations of raw text were recorded without log-probabilities.
        JsonElement[] cases = [.. document.RootElement.EnumerateArray().Where(item => item.TryGetProperty("logprobs", out _))];
        int equal = 0, tokens = 0;
        double largest = 0;
        foreach (JsonElement item in cases)
        {
            int[] expected = [.. item.GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32())];
            var picture = new ImagePart(ImageSource.FromFile(Path.Combine(ModelLocation.Demo, "data", item.GetProperty("image").GetString()!)));
            Prompt prompt = model.Prompts.Encode([new ChatMessage(ChatRole.User, [picture, new TextPart(item.GetProperty("question").GetString()!)])], addGenerationPrompt: true);
            GenerationResult result = model.Generate([(prompt, new SamplingParams { MaxTokens = expected.Length, Logprobs = 0 })], null, Edge.Interrupted)[0];
            Edge.Interrupted.ThrowIfCancellationRequested();
            if (!result.Tokens.Select(token => token.Id).SequenceEqual(expected)) continue; // log-probabilities of other tokens say nothing
            equal++;
            tokens += expected.Length;
            foreach ((GeneratedToken ours, JsonElement theirs) in result.Tokens.Zip(item.GetProperty("logprobs").EnumerateArray())) largest = Math.Max(largest, Math.Abs(ours.Logprob - theirs.GetDouble()));
        }

        return new Result(cases.Length, equal, tokens, largest);
    }
}
