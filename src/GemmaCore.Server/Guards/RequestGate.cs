using System.Diagnostics;
using GemmaCore.Server.Observability;
using GemmaCore.Server.OpenAi;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace GemmaCore.Server.Guards;

/// <summary>Around every route: who may ask, how much, what a failure looks like, and a line in the log.</summary>
/// <param name="options">Limits and keys.</param>
/// <param name="logger">The log.</param>
/// <param name="ownsListener">True when the server listens as the options say; false within somebody's own application.</param>
internal sealed class RequestGate(ServerOptions options, ILogger logger, bool ownsListener)
{
    private readonly ApiKeyGuard _keys = new(options.ApiKeys, options.AdminKeys);
    private readonly HostGuard _hosts = new(options, ownsListener);

    /// <summary>A route behind the gate.</summary>
    /// <param name="route">What answers.</param>
    /// <param name="isOpen">Whether it asks for no key, because it says nothing.</param>
    public RequestDelegate Around(RequestDelegate route, bool isOpen = false) => context => HandleAsync(context, route, isOpen);

    private async Task HandleAsync(HttpContext context, RequestDelegate route, bool isOpen)
    {
        long start = Stopwatch.GetTimestamp();
        string id = RequestId.Assign(context);
        try
        {
            _hosts.Check(context);
            if (!isOpen || context.Request.Path.Value?.TrimEnd('/') != PathOf(context).TrimEnd('/')) _keys.Check(context); // routing does not mind how a path is spelled
            // Another server's own limit is for other bodies: pictures need room.
            if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size) size.MaxRequestBodySize = options.MaxBodyBytes;
            await route(context).ConfigureAwait(false);
        }
        catch (Exception error) when (context.RequestAborted.IsCancellationRequested) // nobody is there to tell
        {
            if (error is not (OperationCanceledException or IOException or BadHttpRequestException or RequestException)) ServerLog.Failed(logger, error, id);
        }
        catch (Exception error)
        {
            RequestException described = ErrorReply.Describe(error);
            if (described.Status == StatusCodes.Status500InternalServerError) ServerLog.Failed(logger, error, id);
            if (described.Detail is { } detail) ServerLog.Refused(logger, id, detail);
            if (context.Response.HasStarted) context.Abort(); // half an answer must not look like a whole one
            else await ErrorReply.WriteAsync(context, described).ConfigureAwait(false);
        }
        finally
        {
            ServerLog.Answered(logger, context.Request.Method, PathOf(context), context.Response.StatusCode, (long)Stopwatch.GetElapsedTime(start).TotalMilliseconds, id);
        }
    }

    // The route, not what was asked for: a path that somebody made up may hold anything.
    private static string PathOf(HttpContext context) => (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "-";
}
