using System.Net;
using System.Text;
using System.Text.Json;

namespace GemmaCore.Server.Tests;

/// <summary>What a model thinks before it answers, as MedGemma 1.5 may. The embedded model never does, so a regular expression makes it.</summary>
public sealed class ThoughtTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private const string Regex = """ "structured_outputs": {"regex": "<unused94>thought\\nIs it round\\? Yes\\.\\n?<unused95>\\n?A cyst\\."}, "temperature": 0 """;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_is_apart_from_the_answer_and_its_tokens_are_counted()
    {
        (HttpStatusCode status, JsonElement body) = await AskAsync("""[{"role": "user", "content": "What is it?"}]""", "");
        Assert.Equal(HttpStatusCode.OK, status);
        JsonElement message = body.GetProperty("choices")[0].GetProperty("message"), usage = body.GetProperty("usage");
        Assert.Equal(("A cyst.", "Is it round? Yes."), (message.GetProperty("content").GetString(), message.GetProperty("reasoning_content").GetString()));
        int thought = usage.GetProperty("completion_tokens_details").GetProperty("reasoning_tokens").GetInt32();
        Assert.InRange(thought, 10, usage.GetProperty("completion_tokens").GetInt32() - 1);
    }

    [Fact]
    public async Task A_stream_has_the_same_parts_the_thought_first()
    {
        JsonElement whole = (await AskAsync("""[{"role": "user", "content": "What is it?"}]""", "")).Body;
        List<JsonElement> chunks = await StreamAsync("""[{"role": "user", "content": "What is it?"}]""");
        JsonElement[] deltas = [.. chunks.Where(chunk => chunk.GetProperty("choices").GetArrayLength() > 0).Select(chunk => chunk.GetProperty("choices")[0].GetProperty("delta"))];
        static string Joined(IEnumerable<JsonElement> deltas, string name) =>
            string.Concat(deltas.Select(delta => delta.TryGetProperty(name, out JsonElement part) ? part.GetString() : null));

        Assert.Equal(("Is it round? Yes.", "A cyst."), (Joined(deltas, "reasoning_content"), Joined(deltas, "content")));
        int lastThought = Array.FindLastIndex(deltas, delta => delta.TryGetProperty("reasoning_content", out _));
        Assert.Equal("", Joined(deltas[..lastThought], "content"));
        Assert.Equal(whole.GetProperty("usage").GetRawText(), chunks[^1].GetProperty("usage").GetRawText().Replace("\"cached_tokens\":16", "\"cached_tokens\":0", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_answer_that_is_cut_off_in_its_thought_has_no_content()
    {
        JsonElement choice = (await AskAsync("""[{"role": "user", "content": "What is it?"}]""", """, "max_tokens": 24""")).Body.GetProperty("choices")[0];
        Assert.Equal((JsonValueKind.Null, "length"), (choice.GetProperty("message").GetProperty("content").ValueKind, choice.GetProperty("finish_reason").GetString()));
        Assert.StartsWith("Is", choice.GetProperty("message").GetProperty("reasoning_content").GetString(), StringComparison.Ordinal);
    }

    // Clients send back what they got.
    [Fact]
    public async Task An_earlier_thought_is_taken_and_not_shown_to_the_model()
    {
        (HttpStatusCode status, JsonElement with) = await AskAsync(
            """[{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A cyst.", "reasoning_content": "Is it round? Yes."}, {"role": "user", "content": "Sure?"}]""", "");
        JsonElement without = (await AskAsync("""[{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A cyst."}, {"role": "user", "content": "Sure?"}]""", "")).Body;
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(without.GetProperty("usage").GetProperty("prompt_tokens").GetInt32(), with.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());

        (status, JsonElement refused) = await AskAsync("""[{"role": "user", "content": "What is it?", "reasoning_content": "Hm."}]""", "");
        Assert.Equal((HttpStatusCode.BadRequest, "messages[0].reasoning_content"), (status, refused.GetProperty("error").GetProperty("param").GetString()));
    }

    [Fact]
    public async Task An_answer_without_a_thought_says_nothing_of_one()
    {
        (_, JsonElement body) = await shared.Server.PostAsync("/v1/chat/completions", """{"messages": [{"role": "user", "content": "What is it?"}], "max_tokens": 4}""");
        Assert.False(body.GetProperty("choices")[0].GetProperty("message").TryGetProperty("reasoning_content", out _));
        Assert.False(body.GetProperty("usage").TryGetProperty("completion_tokens_details", out _));
    }

    private Task<(HttpStatusCode Status, JsonElement Body)> AskAsync(string messages, string more) =>
        shared.Server.PostAsync("/v1/chat/completions", $"{{\"messages\": {messages}, {Regex}{more}}}");

    private async Task<List<JsonElement>> StreamAsync(string messages)
    {
        using var content = new StringContent($"{{\"messages\": {messages}, {Regex}, \"stream\": true, \"stream_options\": {{\"include_usage\": true}}}}", Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await shared.Server.Client.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content, Token);
        string text = await response.Content.ReadAsStringAsync(Token);
        return [.. text.Split("\n\n").Where(line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(line => JsonDocument.Parse(line[6..]).RootElement)];
    }
}
