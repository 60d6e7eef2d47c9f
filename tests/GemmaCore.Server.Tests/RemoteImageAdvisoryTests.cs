using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using GemmaCore.Server.RemoteImages;
using Microsoft.Extensions.Logging;

namespace GemmaCore.Server.Tests;

/// <summary>
/// The classes of security advisories that other servers had (shared spec serving.md §6.1), for pictures that are fetched. Whatever goes wrong, a stranger hears the same few
/// sentences, and no address.
/// </summary>
public sealed class RemoteImageAdvisoryTests
{
    private static readonly ServerOptions Allowing = new() { AllowedImageHosts = [PictureHost.Name], ImageFetchTime = TimeSpan.FromSeconds(20) };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // CVE-2026-24779: two readers of one address saw two hosts in it. All these are refused before anything is looked up.
    [Theory]
    [InlineData("http://images.example/a.png")]
    [InlineData("https://images.example:444/a.png")]
    [InlineData("https://images.example:80/a.png")]
    [InlineData("https://images.example\\\\@evil.example/a.png")]
    [InlineData("https://evil.example\\\\@images.example/a.png")]
    [InlineData("https://evil.example\\\\.images.example/a.png")]
    [InlineData("https://images.example@evil.example/a.png")]
    [InlineData("https://user:secret@images.example/a.png")]
    [InlineData("https://evil.example#@images.example/a.png")]
    [InlineData("https://evil.example?@images.example/a.png")]
    [InlineData("https://images.example.evil.example/a.png")]
    [InlineData("https://a.images.example/a.png")]
    [InlineData("https://images.example./a.png")]
    [InlineData("https://images.example%00.evil.example/a.png")]
    [InlineData("https://images.example\\t/a.png")]
    [InlineData("https://images.example/a b.png")]
    [InlineData(" https://images.example/a.png")]
    [InlineData("https://\\uff49mages.example/a.png")]
    [InlineData("https://93.184.215.14/a.png")]
    [InlineData("https://2130706433/a.png")]
    [InlineData("https://0x7f.1/a.png")]
    [InlineData("https://[::1]/a.png")]
    [InlineData("https://[::ffff:127.0.0.1]/a.png")]
    [InlineData("https://localhost/a.png")]
    [InlineData("//images.example/a.png")]
    [InlineData("ftp://images.example/a.png")]
    [InlineData("file:///etc/passwd")]
    [InlineData("gopher://images.example/")]
    public async Task Server_side_request_forgery_by_an_address_that_is_read_two_ways(string url)
    {
        await using PictureHost host = PictureHost.Of([]);
        await using RunningServer server = await RunningServer.StartAsync(Allowing, host.Network);
        Assert.Equal("unsupported_image_url", (await RefusedAsync(server, url)).Code);
        Assert.Empty(host.Resolved);
    }

    // CVE-2025-6242: a name of the list that leads inside. Loopback, private, link-local (clouds' metadata), CGNAT, ULA, mapped and embedded addresses, and the rest of the registries.
    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("0.0.0.0")]
    [InlineData("10.1.2.3")]
    [InlineData("172.31.255.255")]
    [InlineData("192.168.0.1")]
    [InlineData("169.254.169.254")]
    [InlineData("168.63.129.16")]
    [InlineData("100.64.0.1")]
    [InlineData("100.100.100.200")]
    [InlineData("192.0.0.192")]
    [InlineData("198.18.0.1")]
    [InlineData("203.0.113.7")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("::")]
    [InlineData("::1")]
    [InlineData("fe80::1")]
    [InlineData("fc00::1")]
    [InlineData("fd00:ec2::254")]
    [InlineData("ff02::1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:93.184.215.14")]
    [InlineData("64:ff9b::7f00:1")]
    [InlineData("2002:7f00:1::")]
    [InlineData("2001:0:7f00:1::")]
    [InlineData("2001:db8::1")]
    public async Task Server_side_request_forgery_by_a_name_that_leads_inside(string inside)
    {
        await using PictureHost host = PictureHost.Of([]);
        var log = new Lines();
        await using RunningServer server = await RunningServer.StartAsync(Allowing, host.Network, logging => logging.AddProvider(log));
        foreach (IPAddress[] addresses in (IPAddress[][])[[IPAddress.Parse(inside)], [PictureHost.Public, IPAddress.Parse(inside)], []])
        {
            host.Addresses = _ => addresses;
            Assert.Equal(("image_fetch_failed", "The image could not be fetched: the host could not be reached over https"), await RefusedAsync(server));
        }

        Assert.Empty(host.Connected);
        // Whoever runs the server sees why; what somebody asked for, behind the host's name, is not logged.
        Assert.Contains(log, line => line.Contains($"images.example resolves to {IPAddress.Parse(inside)}, which is not an address of the public internet", StringComparison.Ordinal));
        Assert.DoesNotContain(log, line => line.Contains("secret", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("1.1.1.1")]
    [InlineData("100.63.255.255")]
    [InlineData("172.32.0.1")]
    [InlineData("192.0.1.1")]
    [InlineData("223.255.255.255")]
    [InlineData("2606:2800:21f:cb07:6820:80da:af6b:8b2c")]
    [InlineData("2001:4860:4860::8888")]
    public void Addresses_of_the_internet_are_not_taken_for_others(string address) => Assert.True(PublicAddresses.Contains(IPAddress.Parse(address)));

    // A name that is public when it is checked and inside when it is connected to.
    [Fact]
    public async Task Server_side_request_forgery_by_dns_rebinding()
    {
        await using PictureHost host = PictureHost.Of(await File.ReadAllBytesAsync(RunningServer.Picture("colon"), Token));
        int asked = 0;
        host.Addresses = _ => asked++ == 0 ? [PictureHost.Public] : [IPAddress.Loopback];
        await using RunningServer server = await RunningServer.StartAsync(Allowing, host.Network);
        (HttpStatusCode status, _) = await server.PostAsync("/tokenize", RemoteImageTests.Body("", PictureHost.Url));
        Assert.Equal((HttpStatusCode.OK, 1), (status, asked)); // one look for check and connection
        Assert.Equal(new IPEndPoint(PictureHost.Public, 443), Assert.Single(host.Connected));
        Assert.Equal("image_fetch_failed", (await RefusedAsync(server)).Code);
        Assert.Single(host.Connected);
    }

    [Theory]
    [InlineData("301 Moved Permanently")]
    [InlineData("302 Found")]
    [InlineData("307 Temporary Redirect")]
    public async Task Server_side_request_forgery_by_a_redirect(string status)
    {
        using var bait = new TcpListener(IPAddress.Loopback, 0);
        bait.Start();
        await using PictureHost host = PictureHost.Of([], $"Content-Type: image/png\r\nLocation: http://{bait.LocalEndpoint}/latest/meta-data\r\n", status);
        await using RunningServer server = await RunningServer.StartAsync(Allowing, host.Network);
        Assert.Equal(("image_fetch_failed", "The image could not be fetched: the host sends elsewhere, and redirects are not followed"), await RefusedAsync(server));
        Assert.False(bait.Pending());
        Assert.Single(host.Requests);
    }

    // A certificate says where its issuer's can be downloaded, which is a fetch that nobody asked for.
    [Fact]
    public async Task Server_side_request_forgery_by_a_certificate()
    {
        using var bait = new TcpListener(IPAddress.Loopback, 0);
        bait.Start();
        await using var host = new PictureHost((_, _, _) => Task.CompletedTask, root =>
        {
            using X509Certificate2 between = PictureHost.Authority("between", root);
            return PictureHost.Certificate(between, PictureHost.Name, issuerAt: $"http://{bait.LocalEndpoint}/issuer.crt");
        });
        await using RunningServer server = await RunningServer.StartAsync(Allowing, host.Network);
        Assert.Equal("image_fetch_failed", (await RefusedAsync(server)).Code);
        Assert.False(bait.Pending());
        Assert.Empty(host.Requests);
    }

    [Theory]
    [InlineData("another name")]
    [InlineData("expired")]
    [InlineData("its own authority")]
    public async Task Pictures_of_somebody_in_the_middle(string certificate)
    {
        await using var host = new PictureHost((_, _, _) => Task.CompletedTask, root => certificate switch
        {
            "another name" => PictureHost.Certificate(root, "evil.example"),
            "expired" => PictureHost.Certificate(root, PictureHost.Name, DateTimeOffset.UtcNow.AddMinutes(-1)),
            _ => PictureHost.Certificate(PictureHost.Authority("root", null), PictureHost.Name),
        });
        await using RunningServer server = await RunningServer.StartAsync(Allowing, host.Network);
        Assert.Equal(("image_fetch_failed", "The image could not be fetched: the host could not be reached over https"), await RefusedAsync(server));
        Assert.Empty(host.Requests);
    }

    // CVE-2026-22773, CVE-2026-5497: more than was announced, or without an end.
    [Fact]
    public async Task Image_bombs_of_a_host()
    {
        long sent = 0;
        await using var host = new PictureHost(async (stream, _, token) =>
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"), token);
            byte[] chunk = [.. "10000\r\n"u8, .. new byte[65536], .. "\r\n"u8];
            for (; ; sent += chunk.Length) await stream.WriteAsync(chunk, token);
        });
        await using RunningServer server = await RunningServer.StartAsync(Allowing with { MaxFetchedImageBytes = 100_000 }, host.Network);
        Assert.Equal(("image_too_large", "The image is too large: more than 100000 bytes"), await RefusedAsync(server));
        await host.Left.Task.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.InRange(sent, 0, 32 << 20); // what is on its way when the connection ends

        await using PictureHost frank = PictureHost.Of(new byte[100_001]);
        await using RunningServer warned = await RunningServer.StartAsync(Allowing with { MaxFetchedImageBytes = 100_000 }, frank.Network);
        Assert.Equal("image_too_large", (await RefusedAsync(warned)).Code);

        // All pictures of a request together may weigh what its body may.
        await using PictureHost several = PictureHost.Of(await File.ReadAllBytesAsync(RunningServer.Picture("colon"), Token));
        long one = new FileInfo(RunningServer.Picture("colon")).Length;
        await using RunningServer narrow = await RunningServer.StartAsync(Allowing with { MaxBodyBytes = Math.Max(1024, one + 10) }, several.Network);
        Assert.Equal("image_too_large", (await RefusedAsync(narrow, PictureHost.Url, PictureHost.Url + "2")).Code);
    }

    [Fact]
    public async Task A_host_that_sends_drop_by_drop()
    {
        await using var host = new PictureHost(async (stream, _, token) =>
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 100000\r\n\r\n"), token);
            while (true)
            {
                await stream.WriteAsync(new byte[1], token);
                await Task.Delay(20, token);
            }
        });
        await using RunningServer server = await RunningServer.StartAsync(Allowing with { ImageFetchTime = TimeSpan.FromSeconds(1) }, host.Network);
        Assert.Equal(("image_fetch_failed", "The image could not be fetched: not within 1 seconds"), await RefusedAsync(server));
        await host.Left.Task.WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    [Theory]
    [InlineData("Content-Type: text/html\r\n", "200 OK", "invalid_image_type")]
    [InlineData("Content-Type: image/svg+xml\r\n", "200 OK", "invalid_image_type")]
    [InlineData("Content-Type: application/octet-stream\r\n", "200 OK", "invalid_image_type")]
    [InlineData("", "200 OK", "invalid_image_type")]
    [InlineData("Content-Type: image/png\r\nContent-Encoding: gzip\r\n", "200 OK", "image_fetch_failed")]
    [InlineData("Content-Type: image/png\r\n", "404 Not Found", "image_fetch_failed")]
    [InlineData("Content-Type: image/png\r\n", "206 Partial Content", "image_fetch_failed")]
    [InlineData("Content-Type: image/png\r\n", "200 OK", "invalid_image")]
    public async Task What_is_sent_is_no_picture(string headers, string status, string code)
    {
        await using PictureHost host = PictureHost.Of(Encoding.ASCII.GetBytes("root:x:0:0:secret"), headers, status);
        await using RunningServer server = await RunningServer.StartAsync(Allowing, host.Network);
        Assert.Equal(code, (await RefusedAsync(server)).Code);
    }

    [Fact]
    public async Task A_picture_that_is_cut_off()
    {
        byte[] whole = await File.ReadAllBytesAsync(RunningServer.Picture("colon"), Token);
        await using PictureHost host = PictureHost.Of(whole[..(whole.Length / 2)], $"Content-Type: image/jpeg\r\nContent-Length: {whole.Length}\r\n", namesLength: false);
        await using RunningServer server = await RunningServer.StartAsync(Allowing, host.Network);
        Assert.Equal("image_fetch_failed", (await RefusedAsync(server)).Code);
    }

    private static async Task<(string? Code, string Message)> RefusedAsync(RunningServer server, params string[] urls)
    {
        (HttpStatusCode status, JsonElement reply) = await server.PostAsync("/v1/chat/completions", RemoteImageTests.Body(",\"max_tokens\":1", urls.Length > 0 ? urls : [PictureHost.Url]));
        Assert.Equal(HttpStatusCode.BadRequest, status);
        JsonElement error = reply.GetProperty("error");
        Assert.StartsWith("messages[0].content[", error.GetProperty("param").GetString(), StringComparison.Ordinal);
        string message = error.GetProperty("message").GetString()!;
        foreach (string inside in (string[])["secret", "127.0.0", "::", "0x", "   at ", "Exception", "93.184"]) Assert.DoesNotContain(inside, message, StringComparison.Ordinal);
        Assert.Equal(0, server.Served.Loop.Status.Steps);
        return (error.GetProperty("code").GetString(), message);
    }

    /// <summary>What the server logs.</summary>
    private sealed class Lines : ConcurrentQueue<string>, ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Enqueue($"{formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }
}
