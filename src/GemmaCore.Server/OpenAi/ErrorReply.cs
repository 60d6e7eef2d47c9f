using System.Globalization;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary>Every failure as OpenAI's error object. What the client did not cause is told without details; those are in the log, under the request's id.</summary>
internal static class ErrorReply
{
    /// <summary>What to say about a failure.</summary>
    public static RequestException Describe(Exception error) => error switch
    {
        RequestException known => known,
        QueueFullException => new RequestException(StatusCodes.Status429TooManyRequests, "rate_limit_error", "The server is busy; try again later", code: "queue_full", retryAfter: 1),
        LoopClosedException { InnerException: null } => new RequestException(
            StatusCodes.Status503ServiceUnavailable, "unavailable_error", "The server is shutting down", code: "shutting_down", retryAfter: 5),
        LoopClosedException => new RequestException(StatusCodes.Status503ServiceUnavailable, "unavailable_error", "The model has failed", code: "model_failed"),
        InputException input => RequestException.Invalid(input.Message),
        ArgumentOutOfRangeException range => RequestException.Invalid(range.Message.ReplaceLineEndings(" ")),
        BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => RequestException.TooLarge("The request body is too large"),
        BadHttpRequestException bad => new RequestException(bad.StatusCode, "invalid_request_error", "The request is malformed"),
        _ => new RequestException(StatusCodes.Status500InternalServerError, "server_error", "The server had an error while answering", code: "internal_error"),
    };

    /// <summary>Answers with the error.</summary>
    public static async Task WriteAsync(HttpContext context, RequestException error)
    {
        context.Response.StatusCode = error.Status;
        if (error.RetryAfter is { } seconds) context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        if (error.Status == StatusCodes.Status401Unauthorized) context.Response.Headers.WWWAuthenticate = "Bearer";
        await Reply.WriteAsync(context, Body(error), WireJson.Default.ErrorBody).ConfigureAwait(false);
    }

    public static ErrorBody Body(RequestException error) => new(new ErrorDetail(error.Message, error.Type, error.Param, error.Code));
}
