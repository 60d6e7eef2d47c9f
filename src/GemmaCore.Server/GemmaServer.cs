using System.Net;
using GemmaCore.Server.Guards;
using GemmaCore.Server.Observability;
using GemmaCore.Server.Page;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GemmaCore.Server;

/// <summary>A running server: OpenAI's routes over one model.</summary>
public sealed class GemmaServer : IAsyncDisposable
{
    private readonly ServedModel _served;
    private readonly WebApplication _application;

    private GemmaServer(ServedModel served, Action<ILoggingBuilder>? logging)
    {
        _served = served;
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { Args = [], ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.Sources.Clear(); // flags decide, not files or variables that happen to be there
        builder.Logging.ClearProviders();
        logging?.Invoke(builder.Logging);
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.ConfigureKestrel(kestrel => Configure(kestrel, served.Options));
        _application = builder.Build();
        var gate = new RequestGate(served.Options, ServerLog.From(_application.Services), ownsListener: true);
        OpenAiRoutes.Map(_application, served, new ServingMetrics(served), gate);
        if (served.Options.ServesPage) ChatPage.Map(_application, gate, served.Prompts.PadToSquare);
        _application.MapFallback("{**path}", gate.Around(OpenAiRoutes.RefuseUnknown));
    }

    /// <summary>Where it listens, e.g. <c>http://127.0.0.1:8000</c>.</summary>
    public string Url => _application.Urls.First();

    /// <summary>Starts to listen.</summary>
    /// <param name="served">The model; stays the caller's.</param>
    /// <param name="logging">Where the log goes; null for nowhere.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is unsafe or makes no sense.</exception>
    /// <exception cref="IOException">The address is taken.</exception>
    public static async Task<GemmaServer> StartAsync(ServedModel served, Action<ILoggingBuilder>? logging = null)
    {
        ArgumentNullException.ThrowIfNull(served);
        served.Options.Validate();
        var server = new GemmaServer(served, logging);
        try
        {
            await server._application.StartAsync().ConfigureAwait(false);
            return server;
        }
        catch
        {
            await server._application.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Takes no more requests, lets those under way end (for <see cref="ServerOptions.DrainTime"/>), and stops listening.</summary>
    public async Task StopAsync()
    {
        await _served.Loop.DrainAsync(_served.Options.DrainTime).ConfigureAwait(false);
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(5)); // for the last bytes of answers
        await _application.StopAsync(soon.Token).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private static void Configure(KestrelServerOptions kestrel, ServerOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes;
        kestrel.Limits.MaxRequestHeadersTotalSize = 32 << 10;
        kestrel.Limits.MaxRequestLineSize = 8 << 10;
        kestrel.Limits.MaxConcurrentConnections = 1024;
        // Whoever sends headers or bodies drop by drop is cut off; 240 bytes a second are Kestrel's own minimum for bodies.
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
        kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(120);
        void Use(ListenOptions listen) => listen.Protocols = HttpProtocols.Http1;
        if (options.Host == "localhost" && options.Port != 0) kestrel.ListenLocalhost(options.Port, Use);
        else kestrel.Listen(options.Host == "localhost" ? IPAddress.Loopback : IPAddress.Parse(options.Host), options.Port, Use);
    }

    /// <summary>Signals are the program's business, not the host's.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
