using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using GemmaCore.Server.Guards;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace GemmaCore.Server.Page;

/// <summary>
/// The page to talk to the model: one document that holds its style and its script, put together from the files beside this one. It may load nothing and talk to
/// nobody but its own server, and runs no script but its own: the policy names the two by their hashes.
/// </summary>
internal static partial class ChatPage
{
    // A name is used only behind the script that declares it.
    private static readonly string[] Scripts = ["boxes.js", "server.js", "pictures.js", "views.js", "page.js"];

    private static readonly Lazy<Document> Whole = new(() => Assemble("")), Padded = new(() => Assemble(" data-padded"));

    /// <summary>Maps the page; it asks for no key, because a browser cannot send one, and says nothing.</summary>
    /// <param name="routes">Where.</param>
    /// <param name="gate">Who gets in.</param>
    /// <param name="padded">The model sees pictures padded to a square, which the page has to know to draw boxes.</param>
    public static void Map(IEndpointRouteBuilder routes, RequestGate gate, bool padded) =>
        OpenAiRoutes.MapOne(routes, gate, HttpMethods.Get, "/", context => WriteAsync(context, (padded ? Padded : Whole).Value), isOpen: true);

    private static async Task WriteAsync(HttpContext context, Document page)
    {
        // The page's addresses are relative to a folder.
        if (context.Request.Path.Value is { } path && !path.EndsWith('/'))
        {
            context.Response.Redirect($"{context.Request.PathBase}{path}/");
            return;
        }

        IHeaderDictionary headers = context.Response.Headers;
        headers.ContentSecurityPolicy = page.Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers.CacheControl = "no-cache";
        headers.ETag = page.Tag;
        if (context.Request.Headers.IfNoneMatch == page.Tag)
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        context.Response.ContentType = "text/html; charset=utf-8";
        await context.Response.Body.WriteAsync(page.Bytes, context.RequestAborted).ConfigureAwait(false);
    }

    private static Document Assemble(string attributes)
    {
        string style = Read("page.css");
        // Files to read and to test, one module to send.
        string script = Import().Replace(string.Concat(Scripts.Select(Read)), "").Replace("\nexport ", "\n", StringComparison.Ordinal);
        string html = Read("page.html").Replace("{{style}}", style, StringComparison.Ordinal).Replace("{{script}}", script, StringComparison.Ordinal)
            .Replace("{{attributes}}", attributes, StringComparison.Ordinal);
        string policy = $"default-src 'none'; script-src {HashOf(script)}; style-src {HashOf(style)}; img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        byte[] bytes = Encoding.UTF8.GetBytes(html);
        return new Document(bytes, policy, $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes), 0, 8)}\"");
    }

    private static string HashOf(string text) => $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}'";

    private static string Read(string name)
    {
        using var reader = new StreamReader(Assembly.GetExecutingAssembly().GetManifestResourceStream($"page/{name}")!, Encoding.UTF8);
        return reader.ReadToEnd().ReplaceLineEndings("\n"); // a browser hashes what it has made of them
    }

    [GeneratedRegex("^import .*\n", RegexOptions.Multiline)]
    private static partial Regex Import();

    private sealed record Document(byte[] Bytes, string Policy, string Tag);
}
