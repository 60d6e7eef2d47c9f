using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using SkiaSharp;

namespace GemmaCore.Server.Tests;

/// <summary>The classes of security advisories that other servers had (shared spec serving.md §6.1), each with a test of its name.</summary>
public sealed class AdvisoryTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // CVE-2025-6242, CVE-2026-24779: an image URL made the server fetch what only it can reach.
    [Theory]
    [InlineData("http://127.0.0.1:PORT/a.png")]
    [InlineData("http://127.0.0.1:PORT\\\\@allowed.example/a.png")]
    [InlineData("https://localhost:PORT/a.png")]
    [InlineData("file:///etc/passwd")]
    [InlineData("/etc/passwd")]
    [InlineData("data:image/png;base64,http://127.0.0.1:PORT/")]
    [InlineData("data:text/html;base64,QUFB")]
    public async Task Server_side_request_forgery(string url)
    {
        using var bait = new TcpListener(IPAddress.Loopback, 0);
        bait.Start();
        url = url.Replace("PORT", ((IPEndPoint)bait.LocalEndpoint).Port.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal);
        (HttpStatusCode status, JsonElement reply) = await AskAsync(url);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal("messages[0].content[0].image_url.url", ErrorOf(reply).GetProperty("param").GetString());
        Assert.False(bait.Pending());
    }

    // CVE-2026-22778: the message of a failed decoder held an address.
    [Theory]
    [InlineData("")]
    [InlineData("not a picture")]
    [InlineData("\u0089PNG\r\n\u001a\n")]
    [InlineData("GIF89a")]
    [InlineData("BM")]
    public async Task Error_text_that_tells_of_the_inside(string bytes)
    {
        (HttpStatusCode status, JsonElement reply) = await AskAsync(RunningServer.DataUrl(Encoding.Latin1.GetBytes(bytes)));
        Assert.Equal(HttpStatusCode.BadRequest, status);
        string message = ErrorOf(reply).GetProperty("message").GetString()!;
        foreach (string inside in (string[])["0x", "   at ", "Exception", "/home", "/tmp", "/work", "SkiaSharp"]) Assert.DoesNotContain(inside, message, StringComparison.Ordinal);
    }

    // A picture that is cut off is found out only when it is decoded.
    [Fact]
    public async Task Error_text_of_a_picture_that_breaks_while_it_is_decoded()
    {
        byte[] whole = await File.ReadAllBytesAsync(RunningServer.Picture("colon"), Token);
        (HttpStatusCode status, JsonElement reply) = await AskAsync(RunningServer.DataUrl(whole[..(whole.Length / 2)], "jpeg"));
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Matches("^image: the picture is damaged or cut off", ErrorOf(reply).GetProperty("message").GetString());
    }

    // CVE-2026-22773, CVE-2026-5497: pictures that are tiny, huge by their header, or many.
    [Fact]
    public async Task Image_and_frame_bombs()
    {
        byte[] bomb = Header(60_000, 60_000);
        long before = GC.GetTotalAllocatedBytes(precise: true);
        (HttpStatusCode status, JsonElement reply) = await AskAsync(RunningServer.DataUrl(bomb));
        Assert.Equal((HttpStatusCode.BadRequest, "image_too_large"), (status, CodeOf(reply)));
        // Its pixels would take ten times as much; other tests run meanwhile.
        Assert.InRange(GC.GetTotalAllocatedBytes(precise: true) - before, 0, 1 << 30);

        (status, reply) = await AskAsync(RunningServer.DataUrl(Picture(2000, 1)));
        Assert.Equal((HttpStatusCode.BadRequest, "image_too_narrow"), (status, CodeOf(reply)));

        (status, reply) = await AskAsync([.. Enumerable.Repeat(RunningServer.DataUrl(Picture(4, 4)), 17)]);
        Assert.Equal((HttpStatusCode.BadRequest, "too_many_images"), (status, CodeOf(reply)));

        (status, _) = await AskAsync(RunningServer.DataUrl(Picture(1, 1)));
        Assert.Equal(HttpStatusCode.OK, status);
    }

    // CVE-2026-34756 (n), CVE-2025-48944 (tool schemas), CVE-2025-61620 (template arguments), CVE-2026-21869 (negative counts), and what else has a number.
    [Theory]
    [InlineData("\"n\":1000000000")]
    [InlineData("\"n\":-1")]
    [InlineData("\"max_tokens\":-1")]
    [InlineData("\"max_tokens\":9223372036854775807")]
    [InlineData("\"top_k\":99999999999")]
    [InlineData("\"logprobs\":true,\"top_logprobs\":-1")]
    [InlineData("\"stop_token_ids\":[-1]")]
    [InlineData("\"logit_bias\":{\"-1\":1}")]
    [InlineData("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"pattern\":\"(a+\"}}}}}],\"tool_choice\":\"required\"")]
    [InlineData("\"chat_template_kwargs\":{\"chat_template\":\"{% for i in range(10**9) %}{% endfor %}\"}")]
    [InlineData("\"prompt_embeds\":\"gASVAAAAAAAAAAA=\"")] // CVE-2025-62164
    public async Task Unbounded_parameters(string field)
    {
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]," + field + "}");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.NotNull(ErrorOf(reply).GetProperty("param").GetString());
        Assert.Equal(0, shared.Server.Served.Loop.Status.Running + shared.Server.Served.Loop.Status.Waiting);
    }

    // A bias makes the model choose a row of its head that stands for no token (Gemma has 63 of them): once that stopped the server for everyone.
    [Fact]
    public async Task Token_ids_beyond_the_tokenizer()
    {
        int beyond = shared.Server.Direct.Prompts.Tokenizer.VocabularySize;
        Assert.InRange(beyond, 1, shared.Server.Direct.Model.Layout.VocabularySize - 1);
        string fields = $"\"max_tokens\":4,\"temperature\":0,\"logit_bias\":{{\"{beyond}\":100}}";
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync(
            "/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"logprobs\":true,\"top_logprobs\":2," + fields + "}");
        Assert.True(status == HttpStatusCode.OK, reply.ToString());
        Assert.Equal((4, ""), (reply.GetProperty("usage").GetProperty("completion_tokens").GetInt32(), reply.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()));
        (status, _) = await shared.Server.PostAsync("/v1/completions", "{\"prompt\":\"x\",\"logprobs\":1," + fields + "}");
        Assert.Equal((HttpStatusCode.OK, null), (status, shared.Server.Served.Loop.Fault));
    }

    [Fact]
    public async Task Unbounded_nesting_and_lists()
    {
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions", string.Concat(Enumerable.Repeat("{\"a\":", 100_000)));
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_json"), (status, CodeOf(reply)));
        string messages = string.Join(',', Enumerable.Repeat("{\"role\":\"user\",\"content\":\"x\"}", 3000));
        (status, reply) = await shared.Server.PostAsync("/v1/chat/completions", $"{{\"messages\":[{messages}]}}");
        Assert.Equal((HttpStatusCode.BadRequest, "array_above_max_length"), (status, CodeOf(reply)));
        string stops = string.Join(',', Enumerable.Repeat("\"x\"", 17));
        (status, reply) = await shared.Server.PostAsync("/v1/completions", $"{{\"prompt\":\"x\",\"stop\":[{stops}]}}");
        Assert.Equal((HttpStatusCode.BadRequest, "array_above_max_length"), (status, CodeOf(reply)));
    }

    // CVE-2025-48956: headers of any size.
    [Fact]
    public async Task Unbounded_headers()
    {
        string reply = await shared.Server.ExchangeAsync($"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Long: {new string('a', 100_000)}\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 431 ", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unbounded_bodies()
    {
        await using RunningServer small = await RunningServer.StartAsync(new ServerOptions { MaxBodyBytes = 4096 });
        (HttpStatusCode status, JsonElement reply) = await small.PostAsync("/v1/completions", "{\"prompt\":\"" + new string('a', 5000) + "\"}");
        Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "too_large"), (status, CodeOf(reply)));
    }

    // CVE-2025-46722: two pictures of the same bytes and another shape were one to the cache.
    [Fact]
    public async Task Answers_for_another_picture()
    {
        // One byte sequence of pixels, seen as 48 x 192 and as 192 x 48.
        byte[] pixels = [.. Enumerable.Range(0, 48 * 192).Select(i => (byte)(i * 7 % 251))];
        string[] urls = [RunningServer.DataUrl(Picture(48, 192, pixels)), RunningServer.DataUrl(Picture(192, 48, pixels))];
        double[][] logprobs = [await LogprobsAsync(urls[0]), await LogprobsAsync(urls[1]), await LogprobsAsync(urls[0])];
        Assert.Equal(logprobs[0], logprobs[2]);
        Assert.NotEqual(logprobs[0], logprobs[1]);
    }

    // CVE-2025-59425: keys were compared byte by byte. Ours are compared as hashes, so what a guess shares with a key changes nothing.
    [Fact]
    public async Task Key_comparison()
    {
        await using RunningServer guarded = await RunningServer.StartAsync(new ServerOptions { ApiKeys = ["first-key", "second-key"] });
        foreach ((string? key, HttpStatusCode expected) in ((string?, HttpStatusCode)[])
            [
                ("first-key", HttpStatusCode.OK), ("second-key", HttpStatusCode.OK), (null, HttpStatusCode.Unauthorized), ("", HttpStatusCode.Unauthorized), ("first-ke", HttpStatusCode.Unauthorized),
                ("first-key2", HttpStatusCode.Unauthorized), ("FIRST-KEY", HttpStatusCode.Unauthorized), ("first-keysecond-key", HttpStatusCode.Unauthorized),
            ])
        {
            guarded.Client.DefaultRequestHeaders.Authorization = key is null ? null : new AuthenticationHeaderValue("Bearer", key);
            using HttpResponseMessage response = await guarded.Client.GetAsync(new Uri("/v1/models", UriKind.Relative), Token);
            Assert.True(response.StatusCode == expected, $"{key}: {response.StatusCode}");
        }
    }

    // Ollama's open ports, and vLLM's routes beside the guarded ones.
    [Theory]
    [InlineData("POST", "/v1/chat/completions")]
    [InlineData("POST", "/v1/completions")]
    [InlineData("POST", "/v1/embeddings")]
    [InlineData("GET", "/v1/models")]
    [InlineData("GET", "/v1/models/demo")]
    [InlineData("POST", "/tokenize")]
    [InlineData("POST", "/detokenize")]
    [InlineData("GET", "/metrics")]
    [InlineData("GET", "/health/ready")]
    [InlineData("GET", "/anything")]
    [InlineData("GET", "/health/live/../../metrics")]
    [InlineData("GET", "/HEALTH/LIVE")]
    public async Task Routes_without_a_key(string method, string path)
    {
        await using RunningServer guarded = await RunningServer.StartAsync(new ServerOptions { ApiKeys = ["key"] });
        string reply = await guarded.ExchangeAsync($"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 401 ", reply, StringComparison.Ordinal);
        Assert.Contains("\r\nWWW-Authenticate: Bearer\r\n", reply, StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 200 ", await guarded.ExchangeAsync("GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("::")]
    [InlineData("192.168.1.5")]
    public void An_open_port_without_a_key(string host)
    {
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => new ServerOptions { Host = host }.Validate());
        Assert.Contains("--api-key", error.Message, StringComparison.Ordinal);
        new ServerOptions { Host = host, ApiKeys = ["key"] }.Validate();
        new ServerOptions { Host = host, InsecureNoAuth = true }.Validate();
        foreach (string own in (string[])["127.0.0.1", "::1", "localhost"]) new ServerOptions { Host = own }.Validate();
    }

    // CVE-2024-37032: a name became a path.
    [Theory]
    [InlineData("../../../../etc/passwd")]
    [InlineData("/etc/passwd")]
    [InlineData("few/../few")]
    [InlineData("few\\u0000")]
    public async Task Path_traversal(string name)
    {
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions", $"{{\"model\":\"{name}\",\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}]}}");
        Assert.Equal((HttpStatusCode.NotFound, "model_not_found"), (status, CodeOf(reply)));
    }

    // A page of the web that lets its name point to this machine, and one that posts what needs no permission.
    [Fact]
    public async Task Dns_rebinding_and_posts_of_other_origins()
    {
        Assert.StartsWith("HTTP/1.1 403 ", await shared.Server.ExchangeAsync("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
        (HttpStatusCode status, _) = await shared.Server.PostAsync("/v1/completions", "{\"prompt\":\"x\"}", "text/plain");
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, status);
        string reply = await shared.Server.ExchangeAsync("OPTIONS /v1/completions HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n");
        Assert.DoesNotContain("Access-Control-Allow-Origin", reply, StringComparison.OrdinalIgnoreCase);
    }

    private async Task<double[]> LogprobsAsync(string url)
    {
        string body = $"{{\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"image_url\",\"image_url\":{{\"url\":\"{url}\"}}}}]}}],\"max_tokens\":4,\"temperature\":0,\"ignore_eos\":true,\"logprobs\":true}}";
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions", body);
        Assert.Equal(HttpStatusCode.OK, status);
        return [.. reply.GetProperty("choices")[0].GetProperty("logprobs").GetProperty("content").EnumerateArray().Select(token => token.GetProperty("logprob").GetDouble())];
    }

    private Task<(HttpStatusCode Status, JsonElement Body)> AskAsync(params string[] urls)
    {
        string parts = string.Join(',', urls.Select(url => $"{{\"type\":\"image_url\",\"image_url\":{{\"url\":\"{url}\"}}}}"));
        return shared.Server.PostAsync("/v1/chat/completions", $"{{\"messages\":[{{\"role\":\"user\",\"content\":[{parts}]}}],\"max_tokens\":1}}");
    }

    private static JsonElement ErrorOf(JsonElement reply) => reply.GetProperty("error");

    private static string? CodeOf(JsonElement reply) => ErrorOf(reply).GetProperty("code").GetString();

    // A PNG that says what it is and holds next to nothing.
    private static byte[] Header(int width, int height)
    {
        byte[] data = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(data, width);
        BinaryPrimitives.WriteInt32BigEndian(data.AsSpan(4), height);
        (data[8], data[9]) = (8, 2);
        return [0x89, .. "PNG\r\n\u001a\n"u8, .. Chunk("IHDR", data), .. Chunk("IDAT", [0x78, 0x9c, 3, 0, 0, 0, 0, 1]), .. Chunk("IEND", [])];
    }

    private static byte[] Chunk(string type, byte[] data)
    {
        byte[] named = [.. Encoding.ASCII.GetBytes(type), .. data], length = new byte[4], sum = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, data.Length);
        BinaryPrimitives.WriteUInt32BigEndian(sum, Crc32(named));
        return [.. length, .. named, .. sum];
    }

    // PNG specification, annex D.
    private static uint Crc32(byte[] bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++) crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ 0xEDB88320;
        }

        return ~crc;
    }

    private static byte[] Picture(int width, int height, byte[]? grey = null)
    {
        using var bitmap = new SKBitmap(width, height, SKColorType.Gray8, SKAlphaType.Opaque);
        for (int i = 0; i < width * height; i++) bitmap.SetPixel(i % width, i / width, new SKColor(grey?[i] ?? 90, grey?[i] ?? 90, grey?[i] ?? 90));
        using SKData png = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return png.ToArray();
    }
}
