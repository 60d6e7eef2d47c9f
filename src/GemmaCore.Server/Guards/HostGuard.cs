using System.Net;
using GemmaCore.Server.OpenAi;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.Guards;

/// <summary>
/// A server on a loopback address answers to names of this machine only. A page of the web can make its own name point to 127.0.0.1 (DNS rebinding), and the
/// browser then takes our answers for that page's own; but it cannot change the name it asks for.
/// </summary>
internal sealed class HostGuard(ServerOptions options)
{
    /// <exception cref="RequestException">Another name.</exception>
    public void Check(HttpContext context)
    {
        if (!options.IsLoopback) return;
        string host = context.Request.Host.Host.Trim('[', ']');
        if (host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out IPAddress? address) && IPAddress.IsLoopback(address))) return;
        if (options.AllowedHosts.Contains(host, StringComparer.OrdinalIgnoreCase)) return;
        throw new RequestException(StatusCodes.Status403Forbidden, "invalid_request_error", "This server does not answer to that host name; see --allowed-host", code: "host_not_allowed");
    }
}
