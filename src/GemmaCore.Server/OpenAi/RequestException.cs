using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary>A request that is not answered, as OpenAI's API says it: status, type, the field at fault, a stable code.</summary>
internal sealed class RequestException : Exception
{
    public RequestException(int status, string type, string message, string? param = null, string? code = null, int? retryAfter = null) : base(message) =>
        (Status, Type, Param, Code, RetryAfter) = (status, type, param, code, retryAfter);

    public int Status { get; }

    public string Type { get; }

    public string? Param { get; }

    public string? Code { get; }

    /// <summary>Seconds after which trying again makes sense.</summary>
    public int? RetryAfter { get; }

    /// <summary>What the log says beside it, and the client is not told; null for nothing.</summary>
    public string? Detail { get; init; }

    public static RequestException Invalid(string message, string? param = null, string? code = null) =>
        new(StatusCodes.Status400BadRequest, "invalid_request_error", message, param, code);

    public static RequestException UnknownModel(string name) =>
        new(StatusCodes.Status404NotFound, "invalid_request_error", $"The model '{Shorten(name)}' does not exist", "model", "model_not_found");

    public static RequestException TooLarge(string message, string? param = null) =>
        new(StatusCodes.Status413PayloadTooLarge, "invalid_request_error", message, param, "too_large");

    /// <summary>A piece of the request, short enough to repeat.</summary>
    public static string Shorten(string text) => text.Length <= 80 ? text : text[..80] + "…";
}
