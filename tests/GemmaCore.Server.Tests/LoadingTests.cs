using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Testing;

namespace GemmaCore.Server.Tests;

/// <summary>A server that listens before its model is there.</summary>
public sealed class LoadingTests
{
    private static readonly ServerOptions Options = new() { Port = 0, ApiKeys = ["secret"] };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whoever_asks_before_the_model_is_loaded_is_told_to_come_back_and_answered_afterwards()
    {
        await using GemmaServer server = await GemmaServer.StartAsync(Options);
        using var client = new HttpClient { BaseAddress = new Uri(server.Url) };
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client, "/health/live")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(client, "/health/ready")).StatusCode);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "secret");
        foreach (string path in (string[])["/health/ready", "/v1/models", "/metrics", "/", "/nothing"])
        {
            using HttpResponseMessage reply = await GetAsync(client, path);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, reply.StatusCode);
            Assert.Equal(TimeSpan.FromSeconds(1), reply.Headers.RetryAfter?.Delta);
            JsonElement error = JsonDocument.Parse(await reply.Content.ReadAsStringAsync(Token)).RootElement.GetProperty("error");
            Assert.Equal(("unavailable_error", "model_loading"), (error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
        }

        using ServedModel served = Load(Options);
        server.Serve(served);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(client, "/health/ready")).StatusCode);
        Assert.Contains("\"demo\"", await client.GetStringAsync(new Uri("/v1/models", UriKind.Relative), Token), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(client, "/nothing")).StatusCode);
        await server.StopAsync();
    }

    [Fact]
    public async Task A_server_takes_one_model_with_its_own_options()
    {
        await using GemmaServer server = await GemmaServer.StartAsync(Options);
        using ServedModel other = Load(Options with { MaxImages = 1 }), served = Load(Options);
        Assert.Throws<ArgumentException>(() => server.Serve(other));
        server.Serve(served);
        Assert.Throws<InvalidOperationException>(() => server.Serve(served));
    }

    [Fact]
    public async Task A_server_whose_model_never_came_stops()
    {
        await using GemmaServer server = await GemmaServer.StartAsync(Options);
        string url = server.Url;
        await server.StopAsync();
        using var client = new HttpClient { BaseAddress = new Uri(url) };
        await Assert.ThrowsAsync<HttpRequestException>(() => GetAsync(client, "/health/live"));
    }

    private static ServedModel Load(ServerOptions options) => new("demo", GemmaModel.Load(Goldens.DemoPath("model"), 1), new Dictionary<string, string>(), options);

    private static Task<HttpResponseMessage> GetAsync(HttpClient client, string path) => client.GetAsync(new Uri(path, UriKind.Relative), Token);
}
