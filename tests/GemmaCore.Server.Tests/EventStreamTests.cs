using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using GemmaCore.Generation;
using GemmaCore.Inputs;

namespace GemmaCore.Server.Tests;

/// <summary>The bytes of a stream, read from a socket: what clients that parse by hand rely on.</summary>
public sealed partial class EventStreamTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private const string Question = "What is a lesion?";

    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private RunningServer Server => shared.Server;

    [Fact]
    public async Task A_chat_stream_is_these_bytes()
    {
        GenerationResult answer = Server.Expect([ChatMessage.FromText(ChatRole.User, Question)], new SamplingParams { MaxTokens = 8 });
        string reply = await PostAsync("/v1/chat/completions",
            """{"model":"demo","messages":[{"role":"user","content":"QUESTION"}],"max_tokens":8,"temperature":0,"stream":true,"stream_options":{"include_usage":true}}"""
                .Replace("QUESTION", Question, StringComparison.Ordinal));

        var expected = new StringBuilder(Chunk("""{"role":"assistant","content":""}""", "null"));
        foreach (GeneratedToken token in answer.Tokens)
            if (token.Text.Length > 0) expected.Append(Chunk($$"""{"content":{{Quoted(token.Text)}}}""", "null"));
        expected.Append(Chunk("{}", answer.FinishReason == FinishReason.Stop ? "\"stop\"" : "\"length\""));
        int prompt = answer.PromptTokenCount, count = answer.Tokens.Count;
        expected.Append("data: {\"id\":\"ID\",\"object\":\"chat.completion.chunk\",\"created\":TIME,\"model\":\"demo\",\"choices\":[],\"usage\":{\"prompt_tokens\":")
            .Append(CultureInfo.InvariantCulture, $"{prompt},\"completion_tokens\":{count},\"total_tokens\":{prompt + count},").Append("\"prompt_tokens_details\":{\"cached_tokens\":0}}}\n\ndata: [DONE]\n\n");
        Assert.Equal(expected.ToString(), Body(reply));
        Assert.Single(Ids().Matches(reply).Select(match => match.Value).Distinct());
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", reply, StringComparison.Ordinal);
        Assert.Contains("\r\nContent-Type: text/event-stream; charset=utf-8\r\n", reply, StringComparison.Ordinal);
        Assert.Contains("\r\nTransfer-Encoding: chunked\r\n", reply, StringComparison.Ordinal);

        static string Chunk(string delta, string reason) =>
            "data: {\"id\":\"ID\",\"object\":\"chat.completion.chunk\",\"created\":TIME,\"model\":\"demo\",\"choices\":[{\"index\":0,\"delta\":" + delta
            + ",\"logprobs\":null,\"finish_reason\":" + reason + "}]}\n\n";
    }

    // vLLM's continuous_usage_stats, for clients that count while they read.
    [Theory]
    [InlineData("/v1/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"What is a lesion?\"}]")]
    [InlineData("/v1/completions", "\"prompt\":\"What is a lesion?\",\"echo\":true")]
    public async Task Every_chunk_counts_the_tokens_of_its_answer_where_that_is_asked_for(string route, string asked)
    {
        string fields = $"{{{asked},\"max_tokens\":6,\"n\":2,\"temperature\":1,\"seed\":5,\"ignore_eos\":true,\"stream\":true,\"stream_options\":{{\"include_usage\":true";
        JsonElement[] chunks = Chunks(await PostAsync(route, fields + ",\"continuous_usage_stats\":true}}")), plain = Chunks(await PostAsync(route, fields + "}}"));
        Assert.All(plain[..^1], chunk => Assert.False(chunk.TryGetProperty("usage", out _)));
        Assert.Equal(Counts(plain[^1]), Counts(chunks[^1]));
        Assert.Equal(12, Counts(chunks[^1]).Answered);
        foreach (int choice in (int[])[0, 1])
        {
            (int Asked, int Answered)[] counts = [.. chunks[..^1].Where(chunk => chunk.GetProperty("choices")[0].GetProperty("index").GetInt32() == choice).Select(Counts)];
            Assert.Equal((0, 6), (counts[0].Answered, counts[^1].Answered));
            Assert.Equal(counts.OrderBy(count => count.Answered), counts);
            Assert.All(counts, count => Assert.Equal(Counts(plain[^1]).Asked, count.Asked));
        }

        static (int Asked, int Answered) Counts(JsonElement chunk)
        {
            JsonElement usage = chunk.GetProperty("usage");
            (int asked, int answered) = (usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32());
            Assert.Equal(asked + answered, usage.GetProperty("total_tokens").GetInt32());
            return (asked, answered);
        }

        static JsonElement[] Chunks(string reply) =>
            [.. reply.Split("\n\n").Where(line => line.Contains("data: {", StringComparison.Ordinal)).Select(line => JsonDocument.Parse(line[line.IndexOf('{', StringComparison.Ordinal)..(line.LastIndexOf('}') + 1)]).RootElement)];
    }

    [Fact]
    public async Task A_completion_stream_is_these_bytes()
    {
        Prompt prompt = Server.Direct.Prompts.EncodeText("The lesion is", []);
        GenerationResult answer = Server.Direct.Generate([(prompt, new SamplingParams { MaxTokens = 5, IgnoreEos = true })], null, TestContext.Current.CancellationToken)[0];
        string reply = await PostAsync("/v1/completions", """{"prompt":"The lesion is","max_tokens":5,"temperature":0,"ignore_eos":true,"stream":true}""");

        string expected = string.Concat(answer.Tokens.Where(token => token.Text.Length > 0).Select(token => Chunk(Quoted(token.Text), "null"))) + Chunk("\"\"", "\"length\"") + "data: [DONE]\n\n";
        Assert.Equal(expected, Body(reply));

        static string Chunk(string text, string reason) =>
            "data: {\"id\":\"ID\",\"object\":\"text_completion\",\"created\":TIME,\"model\":\"demo\",\"choices\":[{\"index\":0,\"text\":" + text + ",\"logprobs\":null,\"finish_reason\":" + reason + "}]}\n\n";
    }

    [Fact]
    public async Task An_error_before_the_first_event_is_a_plain_reply()
    {
        string reply = await PostAsync("/v1/chat/completions", """{"model":"demo","messages":[],"stream":true}""");
        Assert.StartsWith("HTTP/1.1 400 Bad Request\r\n", reply, StringComparison.Ordinal);
        Assert.Equal("""{"error":{"message":"Invalid value for 'messages': expected at least one message","type":"invalid_request_error","param":"messages","code":"invalid_value"}}""", Body(reply));
    }

    [Fact]
    public async Task A_request_id_comes_back_if_it_is_a_plain_one()
    {
        Assert.Contains("\r\nX-Request-Id: trace-7\r\n", await Server.ExchangeAsync("GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: trace-7\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
        Assert.Contains("\r\nX-Request-Id: req-", await Server.ExchangeAsync("GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a b\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    // The text as it is: nothing but quotes, backslashes and control characters is escaped.
    private static string Quoted(string text) => JsonSerializer.Serialize(text, Readable);

    private Task<string> PostAsync(string path, string json)
    {
        json = json.Trim();
        return Server.ExchangeAsync(
            $"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(json)}\r\nConnection: close\r\n\r\n{json}");
    }

    // Chunks of the transfer joined; ids and times, which differ from run to run, by their names.
    private static string Body(string reply)
    {
        string raw = reply[(reply.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
        var body = new StringBuilder();
        for (int at = 0; ;)
        {
            int line = raw.IndexOf("\r\n", at, StringComparison.Ordinal), length = int.Parse(raw[at..line], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            if (length == 0) break;
            body.Append(raw, line + 2, length);
            at = line + 2 + length + 2;
        }

        return Times().Replace(Ids().Replace(body.ToString(), "\"id\":\"ID\""), "\"created\":TIME");
    }

    [GeneratedRegex("\"id\":\"(chatcmpl|cmpl)-[0-9a-f]{32}\"")]
    private static partial Regex Ids();

    [GeneratedRegex("\"created\":[0-9]{10}")]
    private static partial Regex Times();
}
