using System.Text.Json;
using System.Text.Unicode;
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
        // Whoever unpacks bodies before us takes the header away.
        if (context.Request.Headers.ContentEncoding is { Count: > 0 } coding && coding != "identity")
            throw new RequestException(StatusCodes.Status415UnsupportedMediaType, "invalid_request_error", $"The body must not be compressed, but its Content-Encoding is {RequestException.Shorten(coding.ToString())}");
        try
        {
            using var buffer = new MemoryStream((int)Math.Clamp(context.Request.ContentLength ?? 0, 256, 1 << 20));
            await context.Request.Body.CopyToAsync(buffer, context.RequestAborted).ConfigureAwait(false);
            ReadOnlyMemory<byte> body = buffer.GetBuffer().AsMemory(0, (int)buffer.Length);
            if (!IsUnicode(body.Span)) throw RequestException.Invalid("The body is not valid UTF-8", code: "invalid_json");
            return JsonDocument.Parse(body, Strict);
        }
        catch (JsonException error)
        {
            // A name that is there twice is the one fault that the parser has no place for.
            string fault = error.LineNumber is { } line ? $"The body is not valid JSON (line {line + 1}, byte {error.BytePositionInLine})" : "An object in the body has two members of one name";
            throw RequestException.Invalid(fault, code: "invalid_json");
        }
    }

    // The parser finds names by their bytes and does not look whether these are text; whoever asks it for such a name gets an exception of another kind.
    private static bool IsUnicode(ReadOnlySpan<byte> body)
    {
        if (!Utf8.IsValid(body)) return false;
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = Strict.MaxDepth });
        try
        {
            while (reader.Read())
                if (reader.TokenType == JsonTokenType.PropertyName && reader.ValueIsEscaped) reader.GetString();
            return true;
        }
        catch (InvalidOperationException) // half of a surrogate pair
        {
            return false;
        }
    }
}
