using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary>JSON out.</summary>
internal static class Reply
{
    // Text stays readable; nothing of it is ever put into a page unescaped.
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The whole body.</summary>
    public static async Task WriteAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type)
    {
        context.Response.ContentType = "application/json";
        await context.Response.Body.WriteAsync(Bytes(value, type), context.RequestAborted).ConfigureAwait(false);
    }

    public static byte[] Bytes<T>(T value, JsonTypeInfo<T> type)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, Readable)) JsonSerializer.Serialize(writer, value, type);
        return buffer.ToArray();
    }
}
