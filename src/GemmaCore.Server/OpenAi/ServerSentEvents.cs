using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace GemmaCore.Server.OpenAi;

/// <summary>
/// An answer as a stream of events: <c>data: {json}</c> and an empty line each, <c>data: [DONE]</c> at the end, comment lines while nothing comes, so that
/// proxies keep the connection. An error after the first event is an event too.
/// </summary>
internal sealed class ServerSentEvents(HttpContext context)
{
    /// <summary>Pause after which a comment is sent.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(15);

    public Task BeginAsync()
    {
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache";
        context.Response.Headers["X-Accel-Buffering"] = "no"; // or nginx collects them
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        return context.Response.StartAsync(context.RequestAborted);
    }

    public Task SendAsync<T>(T value, JsonTypeInfo<T> type) => WriteAsync([.. "data: "u8, .. Reply.Bytes(value, type), .. "\n\n"u8]);

    /// <summary>Waits for something to send, and says so to the client meanwhile.</summary>
    /// <returns>False when nothing more comes.</returns>
    public async Task<bool> WaitAsync<T>(ChannelReader<T> reader)
    {
        Task<bool> more = reader.WaitToReadAsync(context.RequestAborted).AsTask();
        while (true)
        {
            if (more.IsCompleted) return await more.ConfigureAwait(false);
            using var waiting = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
            if (await Task.WhenAny(more, Task.Delay(Silence, waiting.Token)).ConfigureAwait(false) != more) await PingAsync().ConfigureAwait(false);
            await waiting.CancelAsync().ConfigureAwait(false);
        }
    }

    public Task PingAsync() => WriteAsync(": ping\n\n"u8.ToArray());

    public Task DoneAsync() => WriteAsync("data: [DONE]\n\n"u8.ToArray());

    private async Task WriteAsync(byte[] bytes)
    {
        await context.Response.Body.WriteAsync(bytes, context.RequestAborted).ConfigureAwait(false);
        await context.Response.Body.FlushAsync(context.RequestAborted).ConfigureAwait(false);
    }
}
