using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.Guards;

/// <summary>The name of a request in answers and in the log: the client's own, if it gave a plain one.</summary>
internal static class RequestId
{
    private const string Header = "X-Request-Id";

    private const int Longest = 128;

    /// <summary>Takes or makes it, and sends it back.</summary>
    public static string Assign(HttpContext context)
    {
        string given = context.Request.Headers[Header].ToString();
        string id = IsPlain(given) ? given : "req-" + Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture);
        context.Response.Headers[Header] = id;
        return id;
    }

    // Nothing that could end a log line or a header.
    private static bool IsPlain(string id) => id.Length is > 0 and <= Longest && id.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or '.' or ':');
}
