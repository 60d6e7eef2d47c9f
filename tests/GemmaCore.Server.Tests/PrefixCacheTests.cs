using System.Net;
using System.Text;
using System.Text.Json;

namespace GemmaCore.Server.Tests;

/// <summary>What requests are told of the prefix cache; that nothing is shared wrongly is <c>AdvisoryTests</c> and the scheduler's own tests.</summary>
public sealed class PrefixCacheTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_second_question_about_a_picture_reports_its_tokens_as_cached()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        (int first, string answer) = await AskAsync(server, Body("What is this?"), null);
        (int second, _) = await AskAsync(server, Body("Where is it?"), null);
        (int again, string repeated) = await AskAsync(server, Body("What is this?"), null);
        Assert.Equal(0, first);
        Assert.InRange(second, server.Direct.Model.TokensPerImage + 1, server.Direct.Model.TokensPerImage + 12);
        Assert.Equal((second, answer), (again, repeated));

        string metrics = await server.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        Assert.Contains($"vllm:prefix_cache_hits_total{{model_name=\"demo\",engine=\"0\"}} {2 * second}\n", metrics, StringComparison.Ordinal);
        Assert.Contains("gemmacore_prefix_cache_queries_total{", metrics, StringComparison.Ordinal);

        int pages = server.Served.Loop.CachePages;
        Assert.Equal(server.Served.Loop.Limits.MaxCacheBytes / server.Served.Model.Model.PageBytes, pages);
        Assert.Contains($"vllm:cache_config_info{{model_name=\"demo\",engine=\"0\",block_size=\"16\",num_gpu_blocks=\"{pages}\"}} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("vllm:num_preemptions_total{model_name=\"demo\",engine=\"0\"} 0\n", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_and_salts_share_nothing()
    {
        await using RunningServer server = await RunningServer.StartAsync(new ServerOptions { ApiKeys = ["one", "two"] });
        int[] cached =
        [
            (await AskAsync(server, Body("What?"), "one")).Cached, (await AskAsync(server, Body("What?"), "two")).Cached,
            (await AskAsync(server, Body("What?", "\"pepper\""), "one")).Cached, (await AskAsync(server, Body("What?"), "one")).Cached,
        ];
        Assert.Equal([0, 0, 0], cached[..3]);
        Assert.NotEqual(0, cached[3]);
    }

    [Fact]
    public async Task It_can_be_switched_off_and_a_salt_has_limits()
    {
        await using RunningServer server = await RunningServer.StartAsync(new ServerOptions { PrefixCache = false });
        int first = (await AskAsync(server, Body("What?"), null)).Cached, second = (await AskAsync(server, Body("What?"), null)).Cached;
        Assert.Equal((0, 0), (first, second));
        foreach (string salt in (string[])["7", "\"" + new string('x', 257) + "\""])
        {
            (HttpStatusCode status, JsonElement reply) = await server.PostAsync("/v1/chat/completions", Body("What?", salt));
            Assert.Equal((HttpStatusCode.BadRequest, "cache_salt"), (status, reply.GetProperty("error").GetProperty("param").GetString()));
        }
    }

    private static string Body(string question, string salt = "null") =>
        $$$"""
        {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"{{{RunningServer.DataUrl(File.ReadAllBytes(RunningServer.Picture("colon")))}}}"}},
        {"type":"text","text":"{{{question}}}"}]}],"max_tokens":4,"temperature":0,"cache_salt":{{{salt}}}}
        """;

    private static async Task<(int Cached, string Text)> AskAsync(RunningServer server, string body, string? key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        if (key is not null) request.Headers.Authorization = new("Bearer", key);
        using HttpResponseMessage response = await server.Client.SendAsync(request, Token);
        string text = await response.Content.ReadAsStringAsync(Token);
        Assert.True(response.IsSuccessStatusCode, text);
        JsonElement reply = JsonDocument.Parse(text).RootElement;
        return (
            reply.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32(),
            reply.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!);
    }
}
