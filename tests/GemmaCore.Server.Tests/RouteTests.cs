using System.Net;
using System.Text.Json;

namespace GemmaCore.Server.Tests;

/// <summary>Routes by their methods: what is to be got is told of by HEAD, and a wrong method is said to be that.</summary>
public sealed class RouteTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/")]
    [InlineData("/v1/models")]
    [InlineData("/v1/models/demo")]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    [InlineData("/metrics")]
    public async Task What_is_to_be_got_is_told_of_by_head(string path)
    {
        (HttpResponseMessage got, string body) = await SendAsync(HttpMethod.Get, path);
        (HttpResponseMessage told, string nothing) = await SendAsync(HttpMethod.Head, path);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK, ""), (got.StatusCode, told.StatusCode, nothing));
        Assert.NotEmpty(body);
        Assert.Equal(got.Content.Headers.ContentType, told.Content.Headers.ContentType);
    }

    [Theory]
    [InlineData("GET", "/v1/chat/completions", "POST")]
    [InlineData("PUT", "/v1/completions", "POST")]
    [InlineData("OPTIONS", "/v1/embeddings", "POST")]
    [InlineData("HEAD", "/tokenize", "POST")]
    [InlineData("POST", "/v1/models", "GET, HEAD")]
    [InlineData("DELETE", "/v1/models/demo", "GET, HEAD")]
    [InlineData("POST", "/health/live", "GET, HEAD")]
    [InlineData("POST", "/", "GET, HEAD")]
    public async Task A_wrong_method_is_refused_with_those_that_there_are(string method, string path, string allowed)
    {
        (HttpResponseMessage response, string body) = await SendAsync(new HttpMethod(method), path);
        Assert.Equal((HttpStatusCode.MethodNotAllowed, allowed), (response.StatusCode, string.Join(", ", response.Content.Headers.Allow)));
        if (method != "HEAD") Assert.Equal("method_not_allowed", JsonDocument.Parse(body).RootElement.GetProperty("error").GetProperty("code").GetString());
        // No page of another origin is let in by any of this.
        Assert.DoesNotContain(response.Headers, header => header.Key.StartsWith("Access-Control", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("GET", "/v1/files")]
    [InlineData("HEAD", "/nothing")]
    public async Task What_there_is_not_is_not_a_matter_of_the_method(string method, string path) =>
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(new HttpMethod(method), path)).Response.StatusCode);

    private async Task<(HttpResponseMessage Response, string Body)> SendAsync(HttpMethod method, string path)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
        HttpResponseMessage response = await shared.Server.Client.SendAsync(request, Token);
        return (response, await response.Content.ReadAsStringAsync(Token));
    }
}
