using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace GemmaCore.Server.Tests;

/// <summary>The page as it is sent; what it does is tested in Chromium (<c>tests/page</c>).</summary>
public sealed partial class ChatPageTests
{
    private static readonly Uri Root = new("/", UriKind.Relative);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_page_is_one_document_whose_policy_names_its_script_and_style_by_hash()
    {
        await using RunningServer server = await RunningServer.StartAsync(new ServerOptions { ApiKeys = ["secret"] });
        using HttpResponseMessage response = await server.Client.GetAsync(Root, Token); // without a key, which a browser cannot send
        Assert.Equal((HttpStatusCode.OK, "text/html"), (response.StatusCode, response.Content.Headers.ContentType!.MediaType));
        string html = await response.Content.ReadAsStringAsync(Token), policy = Header(response, "Content-Security-Policy");
        Assert.Equal(
            $"default-src 'none'; script-src {HashOf(Script().Match(html))}; style-src {HashOf(Style().Match(html))}; img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            policy);
        Assert.Equal(("nosniff", "no-referrer"), (Header(response, "X-Content-Type-Options"), Header(response, "Referrer-Policy")));
        // One script, and nothing from elsewhere: no attribute that a policy without unsafe-inline would not run, no module left to fetch.
        Assert.Single(Regex.Matches(html, "<script"));
        Assert.DoesNotMatch(" on[a-z]+=\"| style=\"|^import |^export |@import|url\\(", html);
        Assert.DoesNotMatch("https?://(?!www\\.w3\\.org/2000/svg)", html);
        Assert.DoesNotContain("{{", html, StringComparison.Ordinal);
        // The API behind it still asks.
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.Client.GetAsync(new Uri("/v1/models", UriKind.Relative), Token)).StatusCode);
    }

    [Fact]
    public async Task A_browser_that_has_the_page_is_told_so()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using HttpResponseMessage first = await server.Client.GetAsync(Root, Token);
        using var again = new HttpRequestMessage(HttpMethod.Get, Root);
        again.Headers.IfNoneMatch.Add(first.Headers.ETag!);
        using HttpResponseMessage second = await server.Client.SendAsync(again, Token);
        Assert.Equal((HttpStatusCode.NotModified, 0), (second.StatusCode, (await second.Content.ReadAsByteArrayAsync(Token)).Length));
        Assert.True(first.Headers.CacheControl!.NoCache);
    }

    [Fact]
    public async Task Without_the_page_the_root_is_an_unknown_route_and_strangers_get_no_page_either()
    {
        await using (RunningServer without = await RunningServer.StartAsync(new ServerOptions { ServesPage = false }))
            Assert.Equal(HttpStatusCode.NotFound, (await without.Client.GetAsync(Root, Token)).StatusCode);
        await using RunningServer server = await RunningServer.StartAsync();
        using var rebound = new HttpRequestMessage(HttpMethod.Get, Root) { Headers = { Host = "rebound.example" } };
        rebound.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/html"));
        Assert.Equal(HttpStatusCode.Forbidden, (await server.Client.SendAsync(rebound, Token)).StatusCode);
    }

    private static string Header(HttpResponseMessage response, string name) => response.Headers.GetValues(name).Single();

    private static string HashOf(Match match) => $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(match.Groups[1].Value)))}'";

    [GeneratedRegex("<script type=\"module\">(.*)</script>", RegexOptions.Singleline)]
    private static partial Regex Script();

    [GeneratedRegex("<style>(.*)</style>", RegexOptions.Singleline)]
    private static partial Regex Style();
}
