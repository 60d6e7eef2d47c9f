using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary>Reads a body as JSON, within limits.</summary>
internal static class RequestBody
{
    // Chat requests nest about eight deep; a schema may need more.
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    public static async Task<JsonDocument> ReadAsync(HttpContext context)
    {
        // A page of another origin may send text/plain without asking first; JSON it may not.
        if (!context.Request.HasJsonContentType())
            throw new RequestException(StatusCodes.Status415UnsupportedMediaType, "invalid_request_error", "The content type must be application/json");
        try
        {
            return await JsonDocument.ParseAsync(context.Request.Body, Strict, context.RequestAborted).ConfigureAwait(false);
        }
        catch (JsonException error)
        {
            throw RequestException.Invalid($"The body is not valid JSON (line {error.LineNumber + 1}, byte {error.BytePositionInLine})", code: "invalid_json");
        }
    }
}
