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

    private readonly byte[][] _hashes, _adminHashes;

    /// <param name="keys">Keys for answers; none to ask for none.</param>
    /// <param name="adminKeys">Keys that change what is served, good for answers too; none to take any of the others there.</param>
    public ApiKeyGuard(IReadOnlyList<string> keys, IReadOnlyList<string> adminKeys) => (_hashes, _adminHashes) = (Hashes(keys), Hashes(adminKeys));

    /// <summary>Whose turn the request takes.</summary>
    public static string TenantOf(HttpContext context) => context.Items[TenantItem] as string ?? "";

    /// <exception cref="RequestException">No key, or none of ours.</exception>
    public void Check(HttpContext context)
    {
        if (_hashes.Length == 0) return;
        string given = Given(context);
        if (!IsOurs(given)) throw Refused(given);
        context.Items[TenantItem] = ServedModel.Tenant(given);
    }

    /// <summary>For routes that change what is served, after <see cref="Check"/>.</summary>
    /// <exception cref="RequestException">There are keys for it, and the one given is none of them.</exception>
    public void CheckAdmin(HttpContext context)
    {
        if (_adminHashes.Length == 0) return;
        string given = Given(context);
        if (IsAmong(given, _adminHashes)) return;
        throw given.Length == 0 || !IsAmong(given, _hashes)
            ? Refused(given)
            : new RequestException(StatusCodes.Status403Forbidden, "permission_error", "This key may not change what is served; use an admin key", code: "admin_key_required");
    }

    /// <summary>Whether a key is one of ours.</summary>
    internal bool IsOurs(string given) => IsAmong(given, _hashes) | IsAmong(given, _adminHashes);

    private static bool IsAmong(string given, byte[][] hashes)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(given));
        bool found = false;
        foreach (byte[] ours in hashes) found |= CryptographicOperations.FixedTimeEquals(hash, ours);
        return found;
    }

    private static byte[][] Hashes(IReadOnlyList<string> keys) => [.. keys.Select(key => SHA256.HashData(Encoding.UTF8.GetBytes(key)))];

    private static string Given(HttpContext context)
    {
        string header = context.Request.Headers.Authorization.ToString();
        return header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : "";
    }

    private static RequestException Refused(string given) => new(
        StatusCodes.Status401Unauthorized, "authentication_error",
        given.Length == 0 ? "You didn't provide an API key; send it as Authorization: Bearer KEY" : "Incorrect API key provided", code: "invalid_api_key");
}
