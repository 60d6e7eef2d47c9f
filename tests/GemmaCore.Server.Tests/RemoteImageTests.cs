using System.Net;
using System.Text;
using System.Text.Json;
using GemmaCore.Server.RemoteImages;
using GemmaCore.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace GemmaCore.Server.Tests;

/// <summary>Pictures by their address, from hosts that are allowed: the same answers as with their bytes, within limits, and nothing left behind.</summary>
public sealed class RemoteImageTests
{
    private static readonly ServerOptions Allowing = new() { AllowedImageHosts = [PictureHost.Name] };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_picture_by_its_address_is_answered_as_its_bytes_are()
    {
        byte[] bytes = await File.ReadAllBytesAsync(RunningServer.Picture("colon"), Token);
        await using PictureHost host = PictureHost.Of(bytes, "Content-Type: image/jpeg; charset=binary\r\nSet-Cookie: a=b\r\n");
        await using RunningServer server = await RunningServer.StartAsync(Allowing, host.Network);
        server.Client.DefaultRequestHeaders.Add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        string data = RunningServer.DataUrl(bytes, "jpeg");
        foreach ((string path, string fields, string answer) in ((string, string, string)[])
            [
                ("/v1/chat/completions", ",\"max_tokens\":6,\"temperature\":0,\"logprobs\":true", "choices"), ("/v1/classify", ",\"labels\":[\"yes\",\"no\"]", "data"), ("/v1/embeddings", "", "data"), ("/tokenize", "", "tokens"),
            ])
        {
            (HttpStatusCode status, JsonElement expected) = await server.PostAsync(path, Body(fields, data));
            Assert.Equal(HttpStatusCode.OK, status);
            (status, JsonElement body) = await server.PostAsync(path, Body(fields, PictureHost.Url));
            Assert.True(status == HttpStatusCode.OK, $"{path}: {body}");
            Assert.Equal(expected.GetProperty(answer).ToString(), body.GetProperty(answer).ToString());
        }

        // Once as a bare string, and twice in one request, which is one fetch.
        (HttpStatusCode twice, JsonElement reply) = await server.PostAsync(
            "/tokenize", $"{{\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"image_url\",\"image_url\":\"{PictureHost.Url}\"}},{Part(PictureHost.Url)}]}}]}}");
        Assert.True(twice == HttpStatusCode.OK, reply.ToString());
        Assert.Equal(5, host.Requests.Count);
        Assert.Equal("GET /a.png?sig=secret HTTP/1.1\r\nHost: images.example\r\nAccept: image/*, application/dicom\r\nUser-Agent: GemmaCore\r\n\r\n", Assert.Single(host.Requests.Distinct()));
    }

    [Fact]
    public async Task An_application_fetches_from_the_hosts_of_its_options()
    {
        await using PictureHost host = PictureHost.Of(await File.ReadAllBytesAsync(RunningServer.Picture("colon"), Token));
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(host.Network);
        builder.Services.AddGemmaCore(options =>
        {
            options.ModelPath = Goldens.DemoPath("model");
            options.Server = Allowing;
        });
        await using WebApplication application = builder.Build();
        application.MapGemmaCoreOpenAI();
        await application.StartAsync(Token);
        using var client = new HttpClient { BaseAddress = new Uri(application.Urls.First()) };
        using var content = new StringContent(Body(",\"max_tokens\":1", PictureHost.Url), Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await client.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content, Token);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Single(host.Requests);
        await application.StopAsync(Token);
    }

    [Fact]
    public async Task Nothing_is_fetched_for_a_request_that_would_be_refused_anyway()
    {
        await using PictureHost host = PictureHost.Of([]);
        await using RunningServer server = await RunningServer.StartAsync(Allowing, host.Network);
        foreach ((string path, string fields) in ((string, string)[])
            [
                ("/v1/chat/completions", ",\"model\":\"unknown\""), ("/v1/chat/completions", ",\"temperature\":-1"), ("/v1/classify", ""), ("/v1/classify", ",\"labels\":[\"a\",\"b\"],\"model\":\"unknown\""),
                ("/v1/embeddings", ",\"dimensions\":-1"), ("/tokenize", ",\"model\":\"unknown\""),
            ])
        {
            (HttpStatusCode status, _) = await server.PostAsync(path, Body(fields, PictureHost.Url));
            Assert.True(status is HttpStatusCode.BadRequest or HttpStatusCode.NotFound, $"{path} {fields}: {status}");
        }

        Assert.Empty(host.Resolved);
    }

    [Fact]
    public async Task Pictures_to_fetch_have_a_limit_of_their_own_and_requests_wait_their_turn()
    {
        await using var host = new PictureHost((_, _, token) => Task.Delay(Timeout.Infinite, token)); // never answers
        await using RunningServer server = await RunningServer.StartAsync(Allowing with { MaxFetchedImages = 0 }, host.Network);
        Assert.Equal((HttpStatusCode.BadRequest, "too_many_images"), await CodeAsync(server));
        await using RunningServer busy = await RunningServer.StartAsync(Allowing with { MaxFetchingRequests = 1, ImageFetchTime = TimeSpan.FromSeconds(2) }, host.Network);
        // One is fetched for and takes its whole time; the next begins to wait a second later and has its turn then; the last, at once behind it, has waited too long.
        Task<(HttpStatusCode, string?)> first = CodeAsync(busy);
        while (host.Requests.IsEmpty) await Task.Delay(10, Token);
        await Task.Delay(1000, Token);
        (HttpStatusCode, string?)[] others = await Task.WhenAll(CodeAsync(busy), CodeAsync(busy));
        Assert.Equal((HttpStatusCode.BadRequest, "image_fetch_failed"), await first);
        Assert.Equal([(HttpStatusCode.BadRequest, "image_fetch_failed"), (HttpStatusCode.TooManyRequests, "too_many_fetches")], others.Order());
        Assert.Equal(2, host.Requests.Count);
    }

    [Fact]
    public async Task A_client_that_leaves_ends_the_fetch_and_is_not_answered()
    {
        await using var host = new PictureHost(async (stream, _, token) =>
        {
            while (true) // byte by byte, for ever
            {
                await stream.WriteAsync(Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"), token);
                await Task.Delay(20, token);
            }
        });
        await using RunningServer server = await RunningServer.StartAsync(Allowing with { ImageFetchTime = TimeSpan.FromMinutes(5) }, host.Network);
        using var leaving = new CancellationTokenSource();
        using var content = new StringContent(Body(",\"max_tokens\":1", PictureHost.Url), Encoding.UTF8, "application/json");
        Task<HttpResponseMessage> asked = server.Client.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content, leaving.Token);
        while (host.Requests.IsEmpty) await Task.Delay(10, Token);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        await host.Left.Task.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal(0, server.Served.Loop.Status.Running + server.Served.Loop.Status.Waiting);
        Assert.Equal(0, server.Served.Loop.Status.Steps);
    }

    [Theory]
    [InlineData("https://images.example")]
    [InlineData("*.example")]
    [InlineData("images.example/")]
    [InlineData("images.example.")]
    [InlineData("images.example:0")]
    [InlineData("images.example:x")]
    [InlineData("user@images.example")]
    [InlineData("127.0.0.1")]
    [InlineData("[::1]:443")]
    [InlineData("bücher.example")]
    [InlineData("")]
    public void Entries_that_are_no_host_names_stop_the_server_at_its_start(string entry)
    {
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => new ServerOptions { AllowedImageHosts = [PictureHost.Name, entry] }.Validate());
        Assert.Contains($"AllowedImageHosts {entry}: expected a host name", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Hosts_are_compared_without_case_and_ports_exactly()
    {
        var hosts = new ImageHosts(["Images.Example", "other.example:8443"]);
        Assert.True(hosts.Contains("images.EXAMPLE", 443) && hosts.Contains("other.example", 8443));
        Assert.False(hosts.Contains("images.example", 8443) || hosts.Contains("other.example", 443) || hosts.Contains("a.images.example", 443));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ServerOptions { ImageFetchTime = TimeSpan.Zero }.Validate());
        Assert.Throws<ArgumentOutOfRangeException>(() => new ServerOptions { MaxFetchedImageBytes = 0 }.Validate());
        Assert.Throws<ArgumentOutOfRangeException>(() => new ServerOptions { MaxFetchedImages = -1 }.Validate());
        Assert.Throws<ArgumentOutOfRangeException>(() => new ServerOptions { MaxFetchingRequests = 0 }.Validate());
    }

    internal static string Part(string url) => $"{{\"type\":\"image_url\",\"image_url\":{{\"url\":\"{url}\"}}}}";

    internal static string Body(string fields, params string[] urls) => $"{{\"messages\":[{{\"role\":\"user\",\"content\":[{string.Join(',', urls.Select(Part))}]}}]{fields}}}";

    private static async Task<(HttpStatusCode, string?)> CodeAsync(RunningServer server)
    {
        (HttpStatusCode status, JsonElement reply) = await server.PostAsync("/tokenize", Body("", PictureHost.Url));
        return (status, reply.GetProperty("error").GetProperty("code").GetString());
    }
}
