using System.Net;
using GemmaCore.Server.Guards;
using GemmaCore.Server.Observability;
using GemmaCore.Server.Page;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GemmaCore.Server;

/// <summary>A running server: OpenAI's routes over one model.</summary>
public sealed class GemmaServer : IAsyncDisposable
{
    private readonly ServerOptions _options;
    private readonly WebApplication _application;
    private readonly RequestGate _gate;
    private ServedModel? _served;
    private volatile RequestDelegate _answer;

    private GemmaServer(ServerOptions options, Action<ILoggingBuilder>? logging)
    {
        _options = options;
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { Args = [], ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.Sources.Clear(); // flags decide, not files or variables that happen to be there
        builder.Logging.ClearProviders();
        logging?.Invoke(builder.Logging);
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.ConfigureKestrel(kestrel => Configure(kestrel, options));
        _application = builder.Build();
        _gate = new RequestGate(options, ServerLog.From(_application.Services), ownsListener: true);
        _answer = Answer(routes =>
        {
            OpenAiRoutes.MapLive(routes, _gate);
            routes.MapFallback("{**path}", _gate.Around(OpenAiRoutes.RefuseYet));
        });
        _application.Run(context => _answer(context));
    }

    /// <summary>Where it listens, e.g. <c>http://127.0.0.1:8000</c>.</summary>
    public string Url => _application.Urls.First();

    /// <summary>Starts to listen and to answer.</summary>
    /// <param name="served">The model; stays the caller's.</param>
    /// <param name="logging">Where the log goes; null for nowhere.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is unsafe or makes no sense.</exception>
    /// <exception cref="IOException">The address is taken.</exception>
    public static async Task<GemmaServer> StartAsync(ServedModel served, Action<ILoggingBuilder>? logging = null)
    {
        ArgumentNullException.ThrowIfNull(served);
        GemmaServer server = await StartAsync(served.Options, logging).ConfigureAwait(false);
        server.Serve(served);
        return server;
    }

    /// <summary>Starts to listen while the model is still to be loaded: until <see cref="Serve"/>, <c>/health/live</c> is answered and everything else is told to come back (503).</summary>
    /// <param name="options">The model's, too, when it comes.</param>
    /// <param name="logging">Where the log goes; null for nowhere.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is unsafe or makes no sense.</exception>
    /// <exception cref="IOException">The address is taken.</exception>
    public static async Task<GemmaServer> StartAsync(ServerOptions options, Action<ILoggingBuilder>? logging = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var server = new GemmaServer(options, logging);
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

    /// <summary>The model is there: requests are answered from now on.</summary>
    /// <param name="served">The model, with the options that the server was started with; stays the caller's.</param>
    /// <exception cref="InvalidOperationException">There is one already.</exception>
    public void Serve(ServedModel served)
    {
        ArgumentNullException.ThrowIfNull(served);
        if (served.Options != _options) throw new ArgumentException("the model has other options than the server", nameof(served));
        if (Interlocked.CompareExchange(ref _served, served, null) is not null) throw new InvalidOperationException("the server has a model already");
        _answer = Answer(routes =>
        {
            OpenAiRoutes.Map(routes, served, new ServingMetrics(served), _gate);
            if (_options.ServesPage) ChatPage.Map(routes, _gate, served.Prompts.PadToSquare);
            routes.MapFallback("{**path}", _gate.Around(OpenAiRoutes.RefuseUnknown));
        });
    }

    /// <summary>Takes no more requests, lets those under way end (for <see cref="ServerOptions.DrainTime"/>), and stops listening.</summary>
    public async Task StopAsync()
    {
        if (_served is { } served) await served.Loop.DrainAsync(_options.DrainTime).ConfigureAwait(false);
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(5)); // for the last bytes of answers
        await _application.StopAsync(soon.Token).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _application.DisposeAsync();

    // A pipeline of its own for what is mapped: routes cannot join an application that runs.
    private RequestDelegate Answer(Action<IEndpointRouteBuilder> map)
    {
        IApplicationBuilder pipeline = ((IApplicationBuilder)_application).New();
        pipeline.UseRouting();
        pipeline.UseEndpoints(map);
        return pipeline.Build();
    }

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
