using System.Globalization;
using GemmaCore.Server.OpenAi;

namespace GemmaCore.Server.RemoteImages;

/// <summary>
/// The hosts that pictures may be fetched from, by their exact names, and the only reader of addresses: what it has read is what is connected to, so no second reader can see
/// another host in the same text (CVE-2026-24779).
/// </summary>
internal sealed class ImageHosts
{
    private const int HttpsPort = 443, LongestUrl = 2048;

    private readonly HashSet<(string Host, int Port)> _allowed;

    /// <param name="allowed"><c>HOST</c> or <c>HOST:PORT</c>.</param>
    public ImageHosts(IEnumerable<string> allowed) => _allowed = [.. allowed.Select(host => Parse(host) ?? throw new ArgumentException($"{host} is no host name", nameof(allowed)))];

    /// <summary>False when nothing may be fetched at all.</summary>
    public bool Any => _allowed.Count > 0;

    /// <summary>Whether an entry can be on the list: a host name, with a port or without, and neither an address, a pattern, nor a URL.</summary>
    public static bool IsValid(string entry) => Parse(entry) is not null;

    /// <summary>Whether a connection may be opened there.</summary>
    public bool Contains(string host, int port) => _allowed.Contains((host.ToLowerInvariant(), port));

    /// <summary>An address to fetch a picture from.</summary>
    /// <exception cref="RequestException">It is none, it is not https, or its host is not on the list.</exception>
    public Uri Read(RequestField field)
    {
        string url = field.Text();
        if (url.Length > LongestUrl) throw Refused(field, $"The image URL has {url.Length} characters; at most {LongestUrl} are taken");
        // Readers disagree about what a backslash means, about blanks and about control characters: none of them is read.
        if (url.AsSpan().ContainsAnyExceptInRange('!', '~') || url.Contains('\\', StringComparison.Ordinal)) throw Refused(field, "The image URL holds a character that has to be escaped");
        if (!Uri.TryCreate(url, UriKind.Absolute, out Uri? address) || address.Scheme != Uri.UriSchemeHttps) throw Refused(field, "An image URL must begin with https:// or data:image/");
        if (address.UserInfo.Length > 0) throw Refused(field, "The image URL must not hold a user name or a password");
        if (address.HostNameType != UriHostNameType.Dns || !Contains(address.IdnHost, address.Port))
            throw Refused(field, "This server does not fetch images from that host; ask its operator to allow it (--allow-image-host)");
        return address;
    }

    private static (string Host, int Port)? Parse(string entry)
    {
        int colon = entry.LastIndexOf(':'), port = HttpsPort;
        string host = colon < 0 ? entry : entry[..colon];
        if (colon >= 0 && !(int.TryParse(entry[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and <= 65535)) return null;
        bool isName = Uri.CheckHostName(host) == UriHostNameType.Dns && host.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '.') && !host.EndsWith('.');
        return isName ? (host.ToLowerInvariant(), port) : null;
    }

    private static RequestException Refused(RequestField field, string message) => RequestException.Invalid(message, field.Path, "unsupported_image_url");
}
