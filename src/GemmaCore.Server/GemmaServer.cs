using System.Diagnostics;
using System.Net;
using GemmaCore.Server.Guards;
using GemmaCore.Server.Observability;
using GemmaCore.Server.OpenAi;
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
    private readonly ServedModel _served;
    private readonly ServingMetrics _metrics;
    private readonly ApiKeyGuard _keys;
    private readonly HostGuard _hosts;
    private readonly WebApplication _application;
    private readonly ILogger _logger;
    private volatile bool _stopping;

    private GemmaServer(ServedModel served, Action<ILoggingBuilder>? logging)
    {
        _served = served;
        _metrics = new ServingMetrics(served);
        _keys = new ApiKeyGuard(served.Options.ApiKeys, served.Options.AdminKeys);
        _hosts = new HostGuard(served.Options);
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { Args = [], ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.Sources.Clear(); // flags decide, not files or variables that happen to be there
        builder.Logging.ClearProviders();
        logging?.Invoke(builder.Logging);
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.ConfigureKestrel(kestrel => Configure(kestrel, served.Options));
        _application = builder.Build();
        _logger = _application.Services.GetRequiredService<ILoggerFactory>().CreateLogger("GemmaCore.Server");
        _application.Use(next => context => HandleAsync(context, next));
        Map();
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
        _stopping = true;
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

    private void Map()
    {
        ChatCompletionsApi chat = new(_served, _metrics);
        CompletionsApi completions = new(_served, _metrics);
        ClassifyApi classes = new(_served, _metrics);
        AdaptersApi adapters = new(_served, _keys);
        EmbeddingsApi embeddings = new(_served, _metrics);
        _application.MapPost("/v1/embeddings", (RequestDelegate)embeddings.HandleAsync);
        ModelsApi models = new(_served);
        TokenizeApi tokens = new(_served);
        _application.MapPost("/v1/chat/completions", (RequestDelegate)chat.HandleAsync);
        _application.MapPost("/v1/completions", (RequestDelegate)completions.HandleAsync);
        _application.MapPost("/v1/classify", (RequestDelegate)classes.HandleAsync);
        _application.MapGet("/v1/models", (RequestDelegate)models.ListAsync);
        _application.MapGet("/v1/models/{**id}", (RequestDelegate)models.GetAsync);
        _application.MapPost("/tokenize", (RequestDelegate)tokens.TokenizeAsync);
        _application.MapPost("/detokenize", (RequestDelegate)tokens.DetokenizeAsync);
        if (_served.LoadsAdapters)
        {
            _application.MapPost("/v1/load_lora_adapter", (RequestDelegate)adapters.LoadAsync);
            _application.MapPost("/v1/unload_lora_adapter", (RequestDelegate)adapters.UnloadAsync);
        }

        _application.MapGet("/health/live", (RequestDelegate)(context => Reply.WriteAsync(context, new Health("ok"), WireJson.Default.Health)));
        _application.MapGet("/health/ready", (RequestDelegate)ReadyAsync);
        _application.MapGet("/metrics", (RequestDelegate)_metrics.WriteAsync);
        _application.MapFallback("{**path}", (RequestDelegate)(context => throw new RequestException(
            StatusCodes.Status404NotFound, "invalid_request_error", $"Unknown request URL: {context.Request.Method} {RequestException.Shorten(context.Request.Path)}", code: "unknown_url")));
    }

    private Task ReadyAsync(HttpContext context)
    {
        if (_served.Loop.Fault is not null) throw new RequestException(StatusCodes.Status503ServiceUnavailable, "unavailable_error", "The model has failed", code: "model_failed");
        if (_stopping) throw new RequestException(StatusCodes.Status503ServiceUnavailable, "unavailable_error", "The server is shutting down", code: "shutting_down");
        return Reply.WriteAsync(context, new Health("ok"), WireJson.Default.Health);
    }

    // Around every route: who may ask, and what a failure looks like.
    private async Task HandleAsync(HttpContext context, RequestDelegate next)
    {
        long start = Stopwatch.GetTimestamp();
        string id = RequestId.Assign(context);
        try
        {
            _hosts.Check(context);
            _keys.Check(context);
            await next(context).ConfigureAwait(false);
        }
        catch (Exception error) when (context.RequestAborted.IsCancellationRequested) // nobody is there to tell
        {
            if (error is not (OperationCanceledException or IOException or Microsoft.AspNetCore.Http.BadHttpRequestException or RequestException)) ServerLog.Failed(_logger, error, id);
        }
        catch (Exception error)
        {
            RequestException described = ErrorReply.Describe(error);
            if (described.Status == StatusCodes.Status500InternalServerError) ServerLog.Failed(_logger, error, id);
            if (context.Response.HasStarted) context.Abort(); // half an answer must not look like a whole one
            else await ErrorReply.WriteAsync(context, described).ConfigureAwait(false);
        }
        finally
        {
            ServerLog.Answered(_logger, context.Request.Method, PathOf(context), context.Response.StatusCode, (long)Stopwatch.GetElapsedTime(start).TotalMilliseconds, id);
        }
    }

    // The route, not what was asked for: a path that somebody made up may hold anything.
    private static string PathOf(HttpContext context) => (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "-";

    /// <summary>Signals are the program's business, not the host's.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
