using System.Security.Cryptography;
using System.Text;
using GemmaCore.Server.OpenAi;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.Guards;

/// <summary>
/// Asks for a bearer token. Keys are kept as hashes and compared in constant time, all of them in any case: how long an answer
/// takes tells nothing about a key.
/// </summary>
internal sealed class ApiKeyGuard
{
    private const string Scheme = "Bearer ", TenantItem = "gemmacore.tenant";

    private readonly byte[][] _hashes;

    public ApiKeyGuard(IReadOnlyList<string> keys) => _hashes = [.. keys.Select(key => SHA256.HashData(Encoding.UTF8.GetBytes(key)))];

    /// <summary>Whose turn the request takes.</summary>
    public static string TenantOf(HttpContext context) => context.Items[TenantItem] as string ?? "";

    /// <exception cref="RequestException">No key, or none of ours.</exception>
    public void Check(HttpContext context)
    {
        if (_hashes.Length == 0) return;
        string header = context.Request.Headers.Authorization.ToString();
        string given = header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : "";
        if (!IsOurs(given))
        {
            throw new RequestException(
                StatusCodes.Status401Unauthorized, "authentication_error",
                given.Length == 0 ? "You didn't provide an API key; send it as Authorization: Bearer KEY" : "Incorrect API key provided", code: "invalid_api_key");
        }

        context.Items[TenantItem] = ServedModel.Tenant(given);
    }

    /// <summary>Whether a key is one of ours.</summary>
    internal bool IsOurs(string given)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(given));
        bool found = false;
        foreach (byte[] ours in _hashes) found |= CryptographicOperations.FixedTimeEquals(hash, ours);
        return found;
    }
}
