using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Inputs;

namespace GemmaCore.Server.Tests;

/// <summary>Clients that leave, crowds, and the end of the server.</summary>
public sealed class DisconnectTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_client_that_leaves_in_the_middle_of_a_stream_frees_its_place()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using (var client = new TcpClient())
        {
            await client.ConnectAsync(IPAddress.Loopback, server.Port, Token);
            const string body = "{\"prompt\":\"The lesion is\",\"max_tokens\":8000,\"ignore_eos\":true,\"stream\":true}";
            NetworkStream stream = client.GetStream();
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"), Token);
            var buffer = new byte[4096];
            string seen = "";
            while (!seen.Contains("data: ", StringComparison.Ordinal)) seen += Encoding.UTF8.GetString(buffer, 0, await stream.ReadAsync(buffer, Token));
            // The status is that of the last step that ended, and the first token comes in the middle of one.
            await UntilAsync(() => server.Served.Loop.Status.Running == 1);
            client.LingerState = new LingerOption(true, 0);
        }

        // 8000 tokens would take far longer than this.
        await UntilAsync(() => server.Served.Loop.Status is { Running: 0, CacheBytes: 0 });
    }

    [Fact]
    public async Task In_a_crowd_with_deserters_and_malformed_bodies_everyone_gets_the_answer_of_a_single_run()
    {
        await using RunningServer server = await RunningServer.StartAsync(new ServerOptions { MaxSequences = 6 });
        string picture = RunningServer.DataUrl(await File.ReadAllBytesAsync(RunningServer.Picture("colon"), Token), "jpeg");
        (string Body, string Expected)[] questions = [.. Enumerable.Range(0, 6).Select(i =>
        {
            string text = $"Question number {i}: what is a lesion?";
            bool sees = i % 2 == 0;
            ContentPart[] parts = sees ? [new ImagePart(ImageSource.FromFile(RunningServer.Picture("colon"))), new TextPart(text)] : [new TextPart(text)];
            string shown = sees ? $"{{\"type\":\"image_url\",\"image_url\":{{\"url\":\"{picture}\"}}}}," : "";
            string body = $"{{\"messages\":[{{\"role\":\"user\",\"content\":[{shown}{{\"type\":\"text\",\"text\":\"{text}\"}}]}}],\"max_tokens\":{10 + i},\"temperature\":0,\"ignore_eos\":true}}";
            return (body, server.Expect([new ChatMessage(ChatRole.User, parts)], new SamplingParams { MaxTokens = 10 + i, IgnoreEos = true }).Text);
        })];

        int answered = 0, refused = 0;
        await Task.WhenAll(Enumerable.Range(0, 24).Select(async client =>
        {
            for (int round = 0; round < 3; round++)
            {
                (string body, string expected) = questions[(client + round) % questions.Length];
                if ((client + round) % 5 == 0)
                {
                    using var leaving = new CancellationTokenSource(TimeSpan.FromMilliseconds(5 * client + 1));
                    using var content = new StringContent(body, Encoding.UTF8, "application/json");
                    try
                    {
                        using HttpResponseMessage response = await server.Client.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content, leaving.Token);
                    }
                    catch (OperationCanceledException)
                    {
                        // That is what this client does.
                    }
                }
                else if ((client + round) % 7 == 0)
                {
                    (HttpStatusCode status, _) = await server.PostAsync("/v1/chat/completions", body[..^1]);
                    Assert.Equal(HttpStatusCode.BadRequest, status);
                    Interlocked.Increment(ref refused);
                }
                else
                {
                    (HttpStatusCode status, JsonElement reply) = await server.PostAsync("/v1/chat/completions", body);
                    Assert.Equal(HttpStatusCode.OK, status);
                    Assert.Equal(expected, reply.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
                    Interlocked.Increment(ref answered);
                }
            }
        }));

        Assert.True(answered > 40 && refused > 3, $"{answered} answered, {refused} refused");
        await UntilAsync(() => server.Served.Loop.Status is { Running: 0, Waiting: 0, WaitingTokens: 0, CacheBytes: 0 });
        string metrics = await server.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        Assert.Contains("vllm:request_failure_total{model_name=\"demo\",engine=\"0\"} 0\n", metrics, StringComparison.Ordinal);
        Assert.Contains("gemmacore_num_requests_running{model_name=\"demo\",engine=\"0\"} 0\n", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_queue_answers_429_and_says_when_to_come_back()
    {
        await using RunningServer server = await RunningServer.StartAsync(new ServerOptions { MaxSequences = 1, MaxWaitingTokens = 10 });
        const string body = "{\"prompt\":\"The lesion is\",\"max_tokens\":400,\"ignore_eos\":true}";
        HttpResponseMessage[] replies = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ =>
            server.Client.PostAsync(new Uri("/v1/completions", UriKind.Relative), new StringContent(body, Encoding.UTF8, "application/json"), Token)));
        HttpResponseMessage[] refused = [.. replies.Where(reply => reply.StatusCode == HttpStatusCode.TooManyRequests)];
        Assert.InRange(refused.Length, 1, 11);
        Assert.All(refused, reply => Assert.Equal(TimeSpan.FromSeconds(1), reply.Headers.RetryAfter!.Delta));
        Assert.All(replies.Except(refused), reply => Assert.Equal(HttpStatusCode.OK, reply.StatusCode));
    }

    [Fact]
    public async Task A_server_told_to_stop_ends_what_it_has_begun_and_begins_nothing()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        Task<(HttpStatusCode Status, JsonElement Body)> begun = server.PostAsync("/v1/completions", "{\"prompt\":\"The lesion is\",\"max_tokens\":300,\"ignore_eos\":true}");
        await UntilAsync(() => server.Served.Loop.Status.Running == 1);
        Task stop = server.StopAsync();
        (HttpStatusCode status, JsonElement reply) = await server.PostAsync("/v1/completions", "{\"prompt\":\"x\"}");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "shutting_down"), (status, reply.GetProperty("error").GetProperty("code").GetString()));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await server.Client.GetAsync(new Uri("/health/ready", UriKind.Relative), Token)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await server.Client.GetAsync(new Uri("/health/live", UriKind.Relative), Token)).StatusCode);
        (status, reply) = await begun;
        Assert.Equal((HttpStatusCode.OK, 300), (status, reply.GetProperty("usage").GetProperty("completion_tokens").GetInt32()));
        await stop;
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        for (int i = 0; i < 1000 && !holds(); i++) await Task.Delay(10, Token);
        Assert.True(holds());
    }
}
