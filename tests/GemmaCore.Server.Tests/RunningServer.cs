using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Server.RemoteImages;
using GemmaCore.Testing;
using Microsoft.Extensions.Logging;

namespace GemmaCore.Server.Tests;

/// <summary>The embedded model behind a server on a free port, and a second copy of it to compare answers with.</summary>
public sealed class RunningServer : IAsyncDisposable
{
    public const string ModelName = "demo", AdapterName = "few", AdapterFolder = "adapters/qv_list_r4";

    private readonly GemmaServer _server;

    private RunningServer(ServedModel served, GemmaServer server)
    {
        (Served, _server) = (served, server);
        Client = new HttpClient { BaseAddress = new Uri(server.Url) };
        Direct = GemmaModel.Load(Goldens.DemoPath("model"), 1);
    }

    public ServedModel Served { get; }

    public HttpClient Client { get; }

    /// <summary>Answers without a server.</summary>
    public GemmaModel Direct { get; }

    public Uri Endpoint => new(_server.Url + "/v1");

    public int Port => new Uri(_server.Url).Port;

    public static Task<RunningServer> StartAsync(ServerOptions? options = null) => StartAsync(options ?? new ServerOptions(), ImageNetwork.Internet);

    /// <summary>With another world outside, and a log.</summary>
    internal static async Task<RunningServer> StartAsync(ServerOptions options, ImageNetwork network, Action<ILoggingBuilder>? logging = null)
    {
        var served = new ServedModel(
            ModelName, GemmaModel.Load(Goldens.DemoPath("model"), 1), new Dictionary<string, string> { [AdapterName] = Goldens.Path(AdapterFolder) }, options with { Port = 0 }, network);
        return new RunningServer(served, await GemmaServer.StartAsync(served, logging));
    }

    /// <summary>Posts a body as it is.</summary>
    public async Task<(HttpStatusCode Status, JsonElement Body)> PostAsync(string path, string json, string contentType = "application/json")
    {
        using var content = new StringContent(json, Encoding.UTF8);
        content.Headers.ContentType = new MediaTypeHeaderValue(contentType);
        using HttpResponseMessage response = await Client.PostAsync(new Uri(path, UriKind.Relative), content, TestContext.Current.CancellationToken);
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return (response.StatusCode, JsonDocument.Parse(text).RootElement);
    }

    /// <summary>Sends bytes over a socket of its own and reads until the server closes it.</summary>
    public async Task<string> ExchangeAsync(string request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Port, TestContext.Current.CancellationToken);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.UTF8.GetBytes(request), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>What the model says without a server.</summary>
    public GenerationResult Expect(IReadOnlyList<ChatMessage> messages, SamplingParams parameters) =>
        Direct.Generate([(Direct.Prompts.Encode(messages, addGenerationPrompt: true), parameters)], null, TestContext.Current.CancellationToken)[0];

    public static string Picture(string name) => name switch
    {
        "colon" => Goldens.DemoPath("data/validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg"),
        _ => Goldens.DemoPath("data/validation-public/Retinography/phantom_retina/imagesVal/phantom_retina_0000.jpg"),
    };

    public static string DataUrl(byte[] bytes, string type = "png") => $"data:image/{type};base64,{Convert.ToBase64String(bytes)}";

    public Task StopAsync() => _server.StopAsync();

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        Served.Loop.Dispose();
        await _server.DisposeAsync();
        Served.Dispose();
        Direct.Dispose();
    }
}

/// <summary>One server for the tests of a class.</summary>
public sealed class SharedServer : IAsyncLifetime
{
    public RunningServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await RunningServer.StartAsync();

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}
